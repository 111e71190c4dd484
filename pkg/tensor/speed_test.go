package tensor

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func cpuTime() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// best measures f in turns with the peak, by CPU time of this thread.
func best(e *Engine, flops float64, f func()) (gf, peak float64) {
	runtime.LockOSThread()
	f()
	for range 25 {
		t := cpuTime()
		fl := e.Spin(20000)
		if d := cpuTime() - t; fl/float64(d) > peak {
			peak = fl / float64(d)
		}
		n := 0
		t = cpuTime()
		for n = 0; n < 1 || cpuTime()-t < 3*time.Millisecond; n++ {
			f()
		}
		if g := flops * float64(n) / float64(cpuTime()-t); g > gf {
			gf = g
		}
	}
	return
}

func TestSpeed(t *testing.T) {
	if os.Getenv("SPEED") == "" {
		t.Skip()
	}
	for _, e := range engines(t, 1)[1:] {
		for _, s := range []Gemm{
			{M: 256, N: 256, K: 256}, {M: 512, N: 512, K: 512}, {M: 1024, N: 1024, K: 1024}, {M: 2048, N: 2048, K: 2048},
			{M: 512, N: 512, K: 512, TransB: true}, {M: 512, N: 512, K: 512, TransA: true},
			{M: 32, N: 512, K: 784, TransB: true}, {M: 128, N: 512, K: 784, TransB: true}, {M: 64, N: 10, K: 512, TransB: true}, {M: 64, N: 10, K: 512},
			{M: 128, N: 784, K: 512}, {M: 512, N: 784, K: 128, TransA: true}, {M: 1, N: 512, K: 784, TransB: true}, {M: 1, N: 512, K: 784}, {M: 8, N: 512, K: 784, TransB: true}, {M: 128, N: 512, K: 10},
			{M: 10, N: 512, K: 128, TransA: true},
		} {
			x, y, z := make([]float32, s.M*s.K), make([]float32, s.K*s.N), make([]float32, s.M*s.N)
			for i := range x {
				x[i] = 1
			}
			gf, peak := best(e, 2*float64(s.M)*float64(s.N)*float64(s.K), func() { e.Gemm(z, x, y, s) })
			fmt.Printf("%s %4dx%4dx%4d %5t %5t %7.1f of %.1f  %.2f\n", e.ISA(), s.M, s.N, s.K, s.TransA, s.TransB, gf, peak, gf/peak)
		}
		for _, s := range [][4]int{{512, 784, 128, 8}, {512, 512, 128, 8}, {10, 512, 128, 8}, {512, 784, 128, 1}} {
			m, n, r, v := s[0], s[1], s[2], s[3]
			x, y := make([]float32, r*m), make([]float32, r*n)
			g := &Grad{Int: make([]int32, m*n), Max: make([]float32, v), Scale: 1}
			rows := []int{0}
			for i := range v {
				rows = append(rows, r*(i+1)/v)
			}
			gf, peak := best(e, 2*float64(m*n*r), func() { e.GemmLanes(g, x, y, m, n, rows) })
			fmt.Printf("%s lanes %v %7.1f of %.1f  %.2f\n", e.ISA(), s, gf, peak, gf/peak)
		}
	}
}
