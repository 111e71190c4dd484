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
	for range 12 {
		t := cpuTime()
		fl := e.Spin(20000)
		if d := cpuTime() - t; fl/float64(d) > peak {
			peak = fl / float64(d)
		}
		n := 0
		t = cpuTime()
		for n = 0; n < 1 || cpuTime()-t < 2*time.Millisecond; n++ {
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
		for _, c := range []Conv{
			{N: 64, InC: 1, OutC: 32, H: 28, W: 28, KH: 3, KW: 3, PadH: 1, PadW: 1}, {N: 64, InC: 32, OutC: 64, H: 14, W: 14, KH: 3, KW: 3, PadH: 1, PadW: 1},
			{N: 64, InC: 64, OutC: 64, H: 32, W: 32, KH: 3, KW: 3, PadH: 1, PadW: 1}, {N: 64, InC: 16, OutC: 16, H: 32, W: 32, KH: 3, KW: 3, PadH: 1, PadW: 1},
		} {
			if os.Getenv("SPEED") == "gemm" {
				break
			}
			x, y, w := make([]float32, c.N*c.InC*c.H*c.W), make([]float32, c.N*c.OutC*c.OutH()*c.OutW()), make([]float32, c.OutC*c.InC*9)
			flops := 2 * float64(len(y)) * float64(c.InC*9)
			b := make([]float32, c.OutC)
			show := func(what string, f func()) {
				gf, peak := best(e, flops, f)
				fmt.Printf("%s conv %d->%d %dx%d %s %7.1f of %.1f  %.2f\n", e.ISA(), c.InC, c.OutC, c.H, c.W, what, gf, peak, gf/peak)
			}
			rows := []int{0, 8, 16, 24, 32, 40, 48, 56, 64}
			show("forward", func() { e.ConvForward(y, x, w, b, c, ActReLU) })
			show("input  ", func() { e.ConvBackwardInput(x, y, w, c) })
			g := &Grad{Int: make([]int32, len(w)), Max: make([]float32, 8), Scale: 1}
			show("weight8", func() { e.ConvBackwardWeightLanes(g, x, y, c, rows) })
			g = &Grad{Float: make([]float32, len(w))}
			show("weight ", func() { e.ConvBackwardWeightLanes(g, x, y, c, rows) })
		}
	}
}
