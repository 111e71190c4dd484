package bench_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/bench"
)

// asRank tells the test binary that it is a rank of the ring.
const asRank = "LOCKSTEP_TEST_BENCH_RANK"

func TestMain(m *testing.M) {
	if os.Getenv(asRank) == "" {
		os.Exit(m.Run())
	}
	if err := bench.AllReduceRank(context.Background(), os.Stdin, os.Stdout); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func rankCommand(ctx context.Context, _ int) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), asRank+"=1")
	c.Stderr = os.Stderr
	return c
}

// allReduce measures once and returns the record.
func allReduce(t testing.TB, o bench.AllReduceOptions) bench.AllReduceResult {
	t.Helper()
	var got []bench.AllReduceResult
	o.Rank = rankCommand
	if err := bench.AllReduce(t.Context(), o, func(r any) { got = append(got, r.(bench.AllReduceResult)) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d records, want 1", len(got))
	}
	return got[0]
}

func TestAllReduce(t *testing.T) {
	for _, world := range []int{2, 3} {
		r := allReduce(t, bench.AllReduceOptions{World: world, Bytes: 1 << 20, Runs: 3})
		if r.World != world || r.Bytes != 1<<20 || r.Runs != 3 || r.Seconds <= 0 || r.TCPSeconds <= 0 {
			t.Errorf("record %+v", r)
		}
		moved := 2 * float64(r.Bytes) * float64(world-1) / float64(world)
		if want := moved / r.Seconds / 1e9; r.BusGBps < 0.99*want || r.BusGBps > 1.01*want {
			t.Errorf("world %d: bus_gbps %g, want %g", world, r.BusGBps, want)
		}
	}
}

func TestAllReduceRefuses(t *testing.T) {
	err := bench.AllReduce(t.Context(), bench.AllReduceOptions{World: 1, Bytes: 5}, func(any) { t.Error("a record") })
	if err == nil {
		t.Error("world 1 and 5 bytes are accepted")
	}
}

func BenchmarkAllReduce(b *testing.B) {
	for _, kib := range []int{128, 256, 512, 1024} {
		b.Run("segment="+(map[int]string{128: "128K", 256: "256K", 512: "512K", 1024: "1M"})[kib], func(b *testing.B) {
			r := allReduce(b, bench.AllReduceOptions{World: 2, Bytes: 64 << 20, Runs: max(b.N, 5), SegmentBytes: kib << 10})
			b.ReportMetric(r.BusGBps, "busGB/s")
			b.ReportMetric(r.TCPGBps, "tcpGB/s")
			b.ReportMetric(r.TCPRatio, "ratio")
		})
	}
}
