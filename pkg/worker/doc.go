// Package worker makes training real on one machine: it keeps a session with the
// leading coordinator, joins the rings that it is told to join, and trains.
//
// # Terms
//
//	session     the stream to the leading coordinator; orders come on it
//	order       an Assignment (be a member of this generation) or a Release
//	generation  one fixed set of ring members with their lanes
//	task        a job made ready on this worker: network, data, lengths
//	replica     a job's training state in memory, the same on every rank
//	position    how far a replica is: epoch, step, attempts of the step, and the
//	            edition of the bits that it was computed in
//	fact        what a coordinator must hear even if the first one told dies
//
// # A generation's way
//
//	ready   read the data, once for a job
//	join    connect to both neighbours
//	agree   one sum tells every rank how far each is; those behind copy from the
//	        furthest; a comparison of all replicas is the barrier
//	train   step after step, evaluation at the end of each epoch, checkpoints
//	finish  last checkpoint, model file, and a barrier; rank 0 reports
//
// It may be stopped at any moment, by a new order or by a lost neighbour: the
// replica moves only in single, local motions between ring operations, so it is
// whole whenever the generation ends. That a sum has finished here does not mean
// that it has everywhere, so ranks may then differ by one step; the agreement of
// the next generation heals that. No coordinator is asked anything in a step.
//
// # A step's way
//
//	loader -> Gradient -> buckets to the ring while backward goes on
//	       -> statistics round the ring -> Commit -> position moves
//
// # Faults
//
//	a neighbour is lost           RingBroken; the replica waits in memory
//	this disk, this copy of data  JobFailed of this worker only
//	replicas differ               the minority leaves; without one the job fails
//	a panic                       JobFailed; the job's state is dropped here
//	anything else                 JobFailed
//
// # Cost
//
// Memory: the trainer's, one copy of the state for checkpoints (from the first
// on), and one encoded copy while a rank that is behind is served. A steady step
// allocates nothing outside the ring's transport. A checkpoint stops the steps
// for as long as it takes to copy the state in memory.
package worker
