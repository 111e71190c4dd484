// Package e2e holds tests of whole clusters: the programs as a user builds
// them, as processes that speak gRPC and Raft over loopback and die by kill -9.
//
// TestSmoke always runs. The others take minutes and run when LOCKSTEP_E2E is
// set (make e2e). Each fault is timed by the audit of the worker it concerns,
// and each test asserts that its fault fell in the middle of the job: a fault
// that came too late is a failure, not a pass.
//
// Tests of the examples on their own data run when LOCKSTEP_E2E_DATA names a
// directory below which the files are; the others make data up.
package e2e
