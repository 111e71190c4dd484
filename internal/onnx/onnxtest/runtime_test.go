package onnxtest

import (
	"math"
	"testing"
)

func TestDifference(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		a, b []float32
		want float64
	}{{[]float32{1, 2}, []float32{1, 2.5}, 0.5}, {[]float32{1}, nil, math.Inf(1)}, {[]float32{nan}, []float32{nan}, math.Inf(1)}} {
		if got := Difference(c.a, c.b); got != c.want {
			t.Errorf("Difference(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
