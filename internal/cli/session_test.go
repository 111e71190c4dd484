package cli

import (
	"net"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/node"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// coordinate runs a coordinator with the flags of its security until the test ends.
func coordinate(t *testing.T, security ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := node.Coordinator(nn.Kinds{})
	cmd.SetArgs(append([]string{"--id", "c1", "--listen", address, "--data-dir", t.TempDir(), "--log-level", "error"}, security...))
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return address
}

// Whoever forgets the certificates, has others, or needs none, is told so.
func TestTLSOnOneSide(t *testing.T) {
	certs := func(dir string) []string {
		if _, err := typed(t, "certs", "--dir", dir, "me"); err != nil {
			t.Fatal(err)
		}
		return []string{"--tls-ca", dir + "/ca.pem", "--tls-cert", dir + "/me.pem", "--tls-key", dir + "/me-key.pem"}
	}
	ours, others := certs(t.TempDir()), certs(t.TempDir())
	secured, plain := coordinate(t, ours...), coordinate(t)
	for _, c := range []struct {
		want, address string
		security      []string
	}{
		{"", secured, ours},
		{"does the cluster use TLS?", secured, nil},
		{"those of this cluster", secured, others},
		{"the cluster does not use TLS", plain, ours},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel() // each waits for a moment
			_, err := typed(t, append([]string{"nodes", "--coordinators", c.address}, c.security...)...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
