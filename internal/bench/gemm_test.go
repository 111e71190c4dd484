package bench

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestGemm(t *testing.T) {
	ops := map[string]int{}
	err := Gemm(context.Background(), GemmOptions{Threads: []int{1}, Runs: 1, RunTime: time.Nanosecond}, func(r any) {
		g := r.(GemmResult)
		ops[g.Op]++
		if g.M < 1 || g.N < 1 || g.K < 1 || g.GFlops <= 0 || g.PeakGFlops <= 0 || g.Ratio <= 0 || g.ISA == "" {
			t.Errorf("%+v", g)
		}
	})
	if err != nil || ops["gemm"] < 8 || ops["lanes"] != 3 || ops["conv"] != 4 || ops["conv_weight"] != 4 {
		t.Errorf("%v %v", ops, err)
	}
}

func TestGemmRefuses(t *testing.T) {
	err := Gemm(context.Background(), GemmOptions{Threads: []int{0}, Runs: -1}, nil)
	for _, want := range []string{"threads 0", "runs -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if err := Gemm(context.Background(), GemmOptions{ISA: "mmx"}, nil); err == nil || !strings.Contains(err.Error(), `"mmx"`) {
		t.Errorf("%v does not name the instruction set", err)
	}
}
