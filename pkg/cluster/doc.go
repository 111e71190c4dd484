// Package cluster is what the coordinators agree on: the jobs, who works on
// them, how far they are, and the rules by which that changes.
//
// # Terms
//
//	command     an operation with the time and the node that proposed it; one entry of the replicated log
//	operation   one change of the state: Submit, Start, Hold, Progress, Saved, Broken, Done, Fail, Cancel, Resume, Note
//	generation  one fixed set of members with their lanes; it only grows
//	view        what the leader sees and does not replicate: which workers are alive and what they hold
//	decision    an operation that Plan proposes, with its reason
//
// # A job's phases
//
//	          Start            Done
//	queued ---------> running ------> succeeded
//	  ^ ^              |   ^ \  Fail
//	  | |         Hold |   |  ------> failed ---+
//	  | |              v   | Start              | Resume
//	  | |             waiting                   |
//	  | +---------------------------------------+
//	  +--- Resume --- cancelled <--- Cancel (from queued, running and waiting)
//
// # Invariants
//
//   - A worker is a member of at most one job that is running or waiting.
//   - Generations of a job grow by one; a report from any but the current one is refused (ErrStale).
//   - Every lane of a running job belongs to exactly one member; every member owns at least one lane.
//   - Cursor (the highest reported) and History never shrink, not even when a job goes on from an older state.
//   - Memory is bounded: a job keeps its last 200 events and its last 5 checkpoints, and the last 1000
//     jobs that have ended are kept.
//
// # Purity
//
// Nothing here reads a clock, starts a goroutine or does I/O. State.Apply is a
// function of the state and the command: replicas that apply the same log are
// equal, byte for byte in Snapshot. Plan is a function of the state and the view.
// Apply costs O(members + checkpoints + epochs) of one job, Plan
// O(jobs * workers).
package cluster
