// Package allreduce sums a vector over the ranks of one ring of workers.
//
// # Terms
//
//	rank        a position in the ring, 0 <= rank < size; rank r sends to r+1 (mod size)
//	right, left the neighbour a rank sends to, the one it receives from
//	chunk       the 1/size part of a block that one rank finishes adding up
//	round       one hop: every rank sends one chunk and receives one
//	segment     the piece of a chunk in one message
//	block       the part of a vector that is cut into chunks at once; a long vector is
//	            several blocks, which follow each other round the ring without a pause
//	operation   one Sum; every rank of a generation does the same ones in the same order
//	generation  one fixed set of ring members; a segment of another one is refused
//
// # Algorithm
//
// Reduce-scatter, then all-gather, of size-1 rounds each ([Plan] is the whole
// of it, as data). In round k rank r sends chunk r-k and receives chunk r-k-1
// (mod size). In the first size-1 rounds what arrives is added to what the rank
// holds; after them rank r has the whole sum of chunk r+1. In the others what
// arrives replaces what the rank holds.
//
// What a rank receives in one round is what it sends in the next, so a chunk
// goes in segments, and a segment goes on as soon as it is added: the addition
// of one runs while the next ones travel. Segments are numbered t = 0, 1, 2 …
// through all rounds of all blocks. A rank sends the first w, and then segment
// t+w when it has received segment t, w being the segments of a chunk, at most
// Options.Window. Blocks are there to keep w small: what is sent on was added a
// moment ago and is still in the caches.
//
// Nobody can be stuck for ever on links that hold w segments: to be blocked in
// sending, a rank must have received more segments than its right neighbour
// has, and that can not be so all the way round.
//
// Every chunk is added up once, in one order, and then copied: all ranks end
// with the same bits, for float32 too.
//
// # Cost
//
// A rank sends 2*(size-1)/size * 4n bytes for n numbers, whatever the size of
// the ring, in 2*(size-1) rounds.
//
// # Transport
//
// A [Link] carries segments to the right and from the left. [Hub] and [Conn]
// make links of gRPC streams: the left neighbour calls the right one, and a
// frame is the header and the numbers in little-endian order, handed to the
// transport as they are by a codec of our own (no protobuf copy).
package allreduce
