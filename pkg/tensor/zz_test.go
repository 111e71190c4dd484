package tensor_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-ml/lockstep/internal/bench"
)

func TestZZ(t *testing.T) {
	m := os.Getenv("ZZ")
	if m == "" {
		t.Skip()
	}
	for _, a := range []string{"fast", "exact"} {
		if os.Getenv("ZA") != "" && a != os.Getenv("ZA") {
			continue
		}
		var ts, te unix.Timespec
		unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
		w := time.Now()
		bench.Train(context.Background(), bench.TrainOptions{Models: []string{m}, Arithmetic: a, Threads: 1, Runs: 9, RunTime: 500 * time.Millisecond}, func(r any) {
			x := r.(bench.TrainResult)
			unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &te)
			share := float64(te.Nano()-ts.Nano()) / float64(time.Since(w))
			fmt.Printf("%s %s %.0f rec/s %.1f GF wall; cpu share %.2f => %.0f rec/s, %.1f GF\n", m, a, x.RecordsPerSecond, x.GFlops, share, x.RecordsPerSecond/share, x.GFlops/share)
		})
	}
}
