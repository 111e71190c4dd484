package tensor

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMAIsRoundedOnce compares with arithmetic of 1200 bits, on operands that
// are likely to cancel, to tie and to be subnormal.
func TestFMAIsRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func() float32 {
		switch r.IntN(4) {
		case 0:
			return math.Float32frombits(r.Uint32())
		case 1:
			return math.Float32frombits(r.Uint32() &^ (1<<(r.IntN(24)) - 1))
		case 2:
			return float32(r.IntN(1<<24)) * 0x1p-149
		}
		return float32(r.NormFloat64())
	}
	for range 400000 {
		x, y, z := draw(), draw(), draw()
		switch r.IntN(6) {
		case 0:
			z = -float32(float64(x) * float64(y))
		case 1:
			z = math.Float32frombits(math.Float32bits(x*y) + 24<<23)
		case 2:
			x, y = math.Float32frombits(math.Float32bits(x)&^0xfff), math.Float32frombits(math.Float32bits(y)&^0xfff|1<<12)
			z = x * y * float32(math.Ldexp(1, -24-r.IntN(3)))
		}
		want := exactFMA(x, y, z)
		if got := fma32(x, y, z); got != want && (got == got || want == want) || got == 0 && want == 0 && math.Signbit(float64(got)) != math.Signbit(float64(want)) {
			t.Fatalf("fma32(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
	}
}

func exactFMA(x, y, z float32) float32 {
	s := float64(x)*float64(y) + float64(z)
	if math.IsInf(s, 0) || s != s || s == 0 {
		return float32(s)
	}
	b := func(v float32) *big.Float { return new(big.Float).SetPrec(1200).SetFloat64(float64(v)) }
	p := b(x)
	p.Mul(p, b(y)).Add(p, b(z))
	f, _ := p.Float32()
	return f
}
