package node

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// A node that is told to stop, and does, has not failed.
func TestStoppedNodes(t *testing.T) {
	for _, cmd := range []*cobra.Command{Coordinator(nn.Kinds{}), Worker(nn.Kinds{})} {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, stop)
		cmd.SetArgs([]string{"--id", "n1", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-level", "error"})
		if err := cmd.ExecuteContext(ctx); err != nil {
			t.Errorf("%s: %v", cmd.Name(), err)
		}
	}
}
