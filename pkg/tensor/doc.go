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
//	  narrow        with B alone stored transposed, less than 16 columns, and 8 ks
//	                or more for each: a row reduction of such chains, as if zeros
//	                followed up to a multiple of 16 ks; C is added after it. So are
//	                most gradients of filters with less than 16 weights, image by
//	                image and run by run: see ConvBackwardWeightLanes
//	row reduction   16 strided partial sums (element i goes to partial i mod 16),
//	                then a fixed tree by halves: 16, 8, 4, 2, 1
//	exp, tanh, …    one polynomial, with the same fused multiply-adds everywhere
//
// So avx512 == avx2 == portable, bit for bit; only the payload of a NaN is not
// specified.
//
// # Accuracy
//
// Functions are at most so many units of the last place off, over all float32
// (ulp of the exact result; a test compares with float64):
//
//	exp 1.1   log 1   tanh 2.5   sigmoid 2.5   softplus 2   ELU 1 (1.5 with a slope)
//	normal distribution function 7.5   GELU 8   SiLU 3.5
//
// GELU and SiLU of x < -13 and x < -87, x times a number that may be subnormal, are
// so many times |x| units of 2^-149 off, if that is more.
//
// All else follows from rounding, u = 2^-24, to first order:
//
//	chain of k products     k*u*sum|a||b|, narrow (k/16 + 5)*u*sum|a||b|
//	sum of n in a row       (n/16 + 5)*u*sum|x|
//	narrow gradient         (n/16 + 5 + runs)*u*sum|a||b|, n elements in a run,
//	                        runs of all images together
//	softmax                 u*(n/16 + 11 + 2*D) of the result, D = max x - min x
//	log-sum-exp             u*(n/16 + 8 + D + 3*|log n| + |result|)
//	normalised numbers h    u*(c + 8)*(1 + |h|)*(1 + mean|x|/deviation), with
//	                        chains of c additions: n/16 + 4 in a row; over the
//	                        batch the number of rows more
//
// NaN and Inf are those of IEEE arithmetic on the definition of an operation; its
// comment says where it differs.
//
// # Arguments
//
// Slices may begin anywhere and may be longer than needed. Where no comment allows
// it, a result shares no element with another argument. Shapes, lengths and this
// are checked before anything is computed: a mistake is a panic that names the
// operation, with all results untouched. Elements between and behind the rows of a
// matrix may be read, and never reach a result.
//
// # Terms
//
//	lane   one of the fixed slices of a batch; reductions over the batch are
//	       made for each lane by itself
//	exact  gradients of lanes become integers that share a scale, so that their
//	       sum does not depend on its order
//	fast   gradients of all local lanes are one float32 chain
package tensor
