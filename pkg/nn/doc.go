// Package nn trains networks so that the result does not depend on who computed
// which part of it.
//
// # Terms
//
//	recipe   what a step does with a batch: which network runs on what, and what
//	         the loss compares
//	node     one entry of a job's model: a layer with its fields and its inputs
//	value    what flows along an edge of the graph; its shape is that of one record
//	plan     a network whose shapes, parameters and buffers are known; plain data
//	trainer  a plan with memory: parameters, activations, gradients, optimiser slots
//	lane     one of V fixed slices of every batch; a trainer computes some of them
//	bucket   a run of the flat gradient buffer that is summed over the ring at once
//	stats    the small numbers of a step (losses, maxima, counts), V x K words
//
// # A step
//
//	Gradient   the recipe's step: forward and backward of the local lanes; buckets
//	           become final last layer first, so that they can be summed while
//	           backward goes on
//	           (the caller sums Buckets and Stats over all ranks)
//	Commit     checks the sums, divides by the weight of the batch, clips, updates
//
// Until Commit nothing of the replicated state changes, so a step can be thrown
// away and computed again at any time.
//
// # Exact sums
//
// Lanes run merged as one batch, because a row of the forward pass does not
// depend on the other rows. What is reduced over rows is computed lane by lane:
// float addition is not associative, so the lanes' gradients g become integers
//
//	q = round(g * 2^k),   k = 30 - ceil(log2(V*uses)) - e,   |g| < 2^e
//
// which may be added in any order without overflow. e belongs to one parameter
// tensor and is replicated. It follows the largest |g| of the step before; when a
// gradient reaches 2^e the step is repeated with a higher e, on every rank alike.
//
// # Evaluations
//
// ResetEval, Evaluate for every batch, a sum of EvalStats over the ranks and
// EvalResult measure the model. Evaluated lets the result lower the learning rate,
// end training, or name the parameters that the model will have; what it notes is
// part of the replicated state.
//
// # Cost
//
// A trainer holds, for P parameters and A activations a record: P parameters,
// P for each optimiser slot, P for the best evaluation if that is restored, 2P of gradients (integers and floats; P in fast
// arithmetic), and about 2A floats for each row it was made for. A step
// allocates nothing.
package nn
