// Package weights gives a network the weights of another training to start from:
// the start section of a job.
//
// # Terms
//
//	tensor  a named array of the file, or a parameter or running statistic of the network
//	name    renamed by the job, then equal to that of the network: "conv1.weight"
//	report  which tensors start from the file, which are drawn, which are not used
//
// A tensor of the same name must have the same shape. What only one side has is
// reported and no error, unless nothing is left: a new head is drawn, an old one
// left out. Integers, say PyTorch's num_batches_tracked, are no weights.
//
// # On a cluster
//
// The coordinator that takes a job reads the file and writes its SHA-256 into
// the job. Every worker reads its own copy and refuses one of another checksum,
// so all replicas begin with the same bits.
//
// # Cost
//
// The file is read once to its end; memory is that of its tensors, of which those
// that the network uses are kept.
package weights
