// Package arch holds the rules of the source tree as tests; it has no code of
// its own. ARCHITECTURE.md says why the rules are as they are.
//
//	imports  which package may import which, and where gRPC and Raft appear
//	purity   packages that read no clock, start no goroutine and do no I/O
//	docs     every package and every exported name is documented
//	size     files and functions stay short enough to be read at once
package arch
