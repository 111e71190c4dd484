package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"
)

// opList are the kernels of an instruction set by name.
func opList(k *kernels) map[string]func(*vector) {
	ops := map[string]func(*vector){}
	v := reflect.ValueOf(k.vectors)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		ops[f.Name] = *(*func(*vector))(unsafe.Add(unsafe.Pointer(&k.vectors), f.Offset))
	}
	return ops
}

// strange is any float32 now and then, a usual one mostly.
func strange(r *rand.Rand) float32 {
	if r.IntN(10) == 0 {
		return math.Float32frombits(r.Uint32())
	}
	return value(r) * 4
}

// TestKernelsAgree runs every element by element kernel with every length and
// offset on each instruction set, with guards round outputs, and compares bits.
func TestKernelsAgree(t *testing.T) {
	all := available()
	for name := range opList(all[0]) {
		t.Run(name, func(t *testing.T) {
			for n := range 70 {
				if testing.Short() && n > 35 && n < 62 {
					continue
				}
				for seed := range uint64(2) {
					var want *run
					for _, k := range all {
						got := runKernel(t, k, name, n, seed)
						if want == nil {
							want = got
							continue
						}
						for i := range want.out {
							mustEqual(t, fmt.Sprintf("%s n=%d output %d", k.name, n, i), got.out[i], want.out[i])
						}
						mustEqual(t, fmt.Sprintf("%s n=%d part 0", k.name, n), got.v.part0[:], want.v.part0[:])
						mustEqual(t, fmt.Sprintf("%s n=%d part 1", k.name, n), got.v.part1[:], want.v.part1[:])
					}
				}
			}
		})
	}
}

type run struct {
	v   vector
	out [9][]float32
}

func runKernel(t *testing.T, k *kernels, name string, n int, seed uint64) *run {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	out := &run{}
	v := &out.v
	v.n, v.masks = n, k.masks
	for i, p := range []*unsafe.Pointer{&v.x, &v.y, &v.z, &v.u, &v.a, &v.b} {
		in, _ := guarded(t, r, 2*n)
		for j := range in {
			in[j] = strange(r)
			if name == "opMaxPoolBack" && i == 1 {
				in[j] = math.Float32frombits(uint32(2*j + r.IntN(4)))
			}
		}
		*p = start(in)
		out.out[3+i] = in // some kernels replace their inputs
	}
	var checks []func(string)
	width := n
	if name == "opMaxPoolBack" || name == "opJoin" {
		width = 2 * n
	}
	for i, p := range []*unsafe.Pointer{&v.p, &v.q, &v.r} {
		var check func(string)
		out.out[i], check = guarded(t, r, width)
		checks = append(checks, check)
		*p = start(out.out[i])
	}
	for _, s := range []*uint64{&v.s0, &v.s1, &v.s2, &v.s3, &v.s4, &v.s5, &v.s6, &v.s7, &v.s8} {
		*s = bits(value(r))
	}
	if name == "opMaxPoolBack" {
		v.s0, v.s1 = 0, 2
	}
	opList(k)[name](v)
	for _, check := range checks {
		check(fmt.Sprintf("%s n=%d", k.name, n))
	}
	return out
}
