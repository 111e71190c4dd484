//go:build !purego

package tensor

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// available lists what this machine can run, slowest first.
func available() []*kernels {
	all := []*kernels{portable()}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, avx2())
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
			all = append(all, avx512())
		}
	}
	return all
}

func avx2() *kernels {
	k := &kernels{name: "avx2", width: 8, rows: 6, masks: masks8(), masks8: masks8()}
	k.tile, k.lane = tiles_avx2()
	k.wide, k.turned = wides_avx2(), turneds_avx2()
	k.narrow, k.held = narrows_avx2(), helds_avx2()
	k.direct, k.weight = directs_avx2(), weights_avx2()
	k.peak, k.vectors = peak_avx2, vectors_avx2()
	k.sum64, k.squares64 = sum64_avx2, squares64_avx2
	k.columns, k.columnProducts = columns_avx2, columnProducts_avx2
	k.packs()
	return k
}

func avx512() *kernels {
	k := &kernels{name: "avx512", width: 16, rows: 12, masks: masks16(), masks8: masks8()}
	k.tile, k.lane = tiles_avx512()
	k.wide, k.turned = wides_avx512(), turneds_avx512()
	k.narrow, k.held = narrows_avx512(), helds_avx512()
	k.direct, k.across = directs_avx512(), acrosses_avx512()
	k.weight = weights_avx512()
	k.peak, k.vectors = peak_avx512, vectors_avx512()
	k.sum64, k.squares64 = sum64_avx512, squares64_avx512
	k.columns, k.columnProducts = columns_avx512, columnProducts_avx512
	k.packs()
	return k
}

func (k *kernels) packs() {
	k.copy = [4]func(*pack){packCopy1_avx2, packCopy2_avx2, packCopy3_avx2, packCopy4_avx2}
	k.philox, k.line = philox_avx2, [2]func(*pack){packLine1_avx2, packLine2_avx2}
	k.panels = packPanels2_avx2
	if k.width == 16 {
		k.panels = packPanels4_avx2
	}
	k.turn = packTurn_avx2
	k.transpose, k.taps, k.gather = packTranspose_avx2, packTaps_avx2, packGather_avx2
}

// masks8 are vectors of 8 words, the first n of them all ones.
func masks8() *[17]unsafe.Pointer {
	words := new([16]int32)
	for i := range 8 {
		words[i] = -1
	}
	m := new([17]unsafe.Pointer)
	for n := range 9 {
		m[n] = unsafe.Pointer(&words[min(8-n, 15)])
	}
	return m
}

// masks16 are words of 16 bits, the first n of them set.
func masks16() *[17]unsafe.Pointer {
	m := new([17]unsafe.Pointer)
	for n := range m {
		bits := new(uint16)
		*bits = uint16(1<<n - 1)
		m[n] = unsafe.Pointer(bits)
	}
	return m
}
