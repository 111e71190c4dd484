// Package tensor is float32 arithmetic whose results depend on shapes alone.
//
// # The contract
//
// Every element of a result is computed in one fixed order, whatever the
// instruction set, the number of threads, the tiles, or what else is in the
// batch:
//
//	matrix product  one chain of fused multiply-adds over k, ascending, from +0
//	                (or from C); blocking over k goes on with the chain
//	row reduction   16 strided partial sums (element i goes to partial i mod 16),
//	                then a fixed tree by halves: 16, 8, 4, 2, 1
//	exp, tanh, …    one polynomial, with the same fused multiply-adds everywhere
//
// So avx512 == avx2 == portable, bit for bit; only the payload of a NaN is not
// specified.
//
// # Terms
//
//	lane   one of the fixed slices of a batch; reductions over the batch are
//	       made for each lane by itself
//	exact  gradients of lanes become integers that share a scale, so that their
//	       sum does not depend on its order
//	fast   gradients of all local lanes are one float32 chain
package tensor
