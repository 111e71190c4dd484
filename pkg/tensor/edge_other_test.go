//go:build !linux

package tensor

import "testing"

// edgesOf returns none: other systems are checked by what is written only.
func edgesOf(*testing.T, int) [][]float32 { return nil }
