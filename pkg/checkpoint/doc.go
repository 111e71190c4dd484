// Package checkpoint keeps the training state of jobs on a disk: a file is
// either whole or not there, and a file that was damaged later is found out.
//
// # Terms
//
//	state       all that training needs to go on: tensors, cursor, metadata
//	checkpoint  a state in a file, <dir>/<job>/<epoch>-<step>.safetensors
//	model       trained weights in a file, for use by other programs
//	seal        SHA-256 of all that precedes it, the last 32 bytes of a checkpoint
//
// # The form of a checkpoint
//
// A checkpoint is a safetensors file, which any tool for that format can open.
// Cursor and job stand in its metadata. Its last tensor, U8[32], is the seal, so
// that a file that is torn, cut or changed is recognised without any other file,
// on a disk as on a stream. Equal states have equal bytes, on every worker.
//
// # Saving
//
//	write <name>.partial -> fsync -> rename to <name> -> fsync the directory
//
// At whatever point the power fails, the earlier checkpoints are untouched and
// the new one is there whole or not at all. A file left over by a crash ends in
// .partial; it is never read, and the next Save of that job removes it. One
// process at a time may save to the directory of one job.
//
// # Cost
//
// Saving needs 64 KiB beside the state and hashes at about 1 GB/s; loading needs
// the state's size, and Latest the same for each file that it has to skip.
package checkpoint
