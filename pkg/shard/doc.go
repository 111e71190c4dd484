// Package shard says what a data set is and who uses which record when. It is
// pure: no clock, no goroutine, no file.
//
// # Terms
//
//	record   one example; records are numbered 0 to N-1 in the order of the files
//	shard    a run of records that is read and checksummed together
//	stream   the N records of one epoch, shard after shard in that epoch's order
//	lane     one of V fixed slices of every global batch
//	piece    the run of the stream that one lane works through in an epoch
//	window   a run of a piece inside which records are shuffled
//	position p, 0 <= p < N: the p-th use of a record in an epoch
//
// # How records are dealt
//
// Step s of an epoch covers positions [sB, min((s+1)B, N)) for a global batch of
// B records. Position p belongs to lane p mod V and is use p div V of that lane.
// So lane v uses ceil((N-v)/V) records an epoch, all lanes within one of each
// other, and in every step the lanes differ by at most one record too. Every
// step but the last has B records; the last has what is left.
//
// The shards are permuted anew each epoch, which gives the stream. The stream is
// cut into V pieces of exactly the lengths above. A piece is cut into windows of
// Manifest.Window records, and each window is permuted. All permutations come
// from the counter-based generator, so the records of (epoch, step, lane) follow
// from (manifest, seed, V, B) alone. Nothing is stored but the cursor, and every
// record is used exactly once an epoch, by whoever owns the lane.
//
//	stream    | shard 4 | shard 0 | shard 3 | shard 1 | shard 2 |
//	pieces    |   lane 0    |   lane 1   |   lane 2   |  lane 3 |
//	windows   | w0 | w1 | w2| w0 | w1 |w2| …
//
// # Cost
//
// A micro-batch of n records costs O(n log shards) once its window is known; a
// window of w records costs w Philox blocks (about 20 ns each) and 4w bytes.
package shard
