package tensor

import "math"

// ToBF16 rounds to bfloat16, to nearest, ties to even. A NaN stays a NaN.
func (e *Engine) ToBF16(dst []uint16, x []float32) {
	need("ToBF16", "x", len(x), len(dst))
	for i := range dst {
		dst[i] = bf16(x[i])
	}
}

// FromBF16 widens bfloat16, exactly.
func (e *Engine) FromBF16(dst []float32, x []uint16) {
	need("FromBF16", "x", len(x), len(dst))
	for i := range dst {
		dst[i] = math.Float32frombits(uint32(x[i]) << 16)
	}
}

// ToFP16 rounds to IEEE half precision, to nearest, ties to even; beyond 65504
// and a half unit to Inf. A NaN stays a NaN.
func (e *Engine) ToFP16(dst []uint16, x []float32) {
	need("ToFP16", "x", len(x), len(dst))
	for i := range dst {
		dst[i] = fp16(x[i])
	}
}

// FromFP16 widens IEEE half precision, exactly.
func (e *Engine) FromFP16(dst []float32, x []uint16) {
	need("FromFP16", "x", len(x), len(dst))
	for i := range dst {
		dst[i] = fromFP16(x[i])
	}
}

func bf16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 1<<6
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fp16(x float32) uint16 {
	b := math.Float32bits(x)
	sign, b := uint16(b>>16&0x8000), b&^(1<<31)
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x47800000: // 2^16
		return sign | 0x7c00
	case b < 0x38800000: // 2^-14: adding 1/2 leaves the last place of a subnormal
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xfff + b>>13&1
	return sign | uint16((b-0x38000000)>>13)
}

func fromFP16(h uint16) float32 {
	sign, b := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	switch {
	case b >= 0x7c00:
		return math.Float32frombits(sign | 0x7f800000 | (b-0x7c00)<<13)
	case b < 0x400:
		return math.Float32frombits(math.Float32bits(float32(b)*0x1p-24) | sign)
	}
	return math.Float32frombits(sign | (b<<13 + 0x38000000))
}
