package tensor

import "math"

var (
	inf32 = float32(math.Inf(1))
	nan32 = float32(math.NaN())
)

// max32 is a if a > b, else b: b also if one of them is NaN.
func max32(a, b float32) float32 {
	if a > b {
		return a
	}
	return b
}

// min32 is a if a < b, else b: b also if one of them is NaN.
func min32(a, b float32) float32 {
	if a < b {
		return a
	}
	return b
}

func abs32(x float32) float32 {
	return math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
}

// sqrt32 is right: a square root rounded to 53 bits is never near a tie of 24.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// roundInt rounds to the nearest int32, ties to even; -2^31 if there is none.
func roundInt(v float32) int32 {
	if !(v >= -1<<31 && v < 1<<31) {
		return math.MinInt32
	}
	return int32(math.RoundToEven(float64(v)))
}
