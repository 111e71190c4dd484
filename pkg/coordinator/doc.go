// Package coordinator makes pkg/cluster real: it replicates the commands with
// Raft, keeps the workers' sessions, carries out what cluster.Plan decides, and
// answers users.
//
// # Terms
//
//	node        one coordinator process of the group
//	leader      the node that Raft elected; it alone decides, and it alone has sessions
//	session     the stream of one worker to the leader
//	proposal    a command given to Raft; it is applied on every node once a majority stored it
//
// # One port
//
// gRPC and Raft share the port: the first byte of a connection (after the TLS
// handshake, if there is TLS) is 'P', of the HTTP/2 preface, or raftMagic. So a
// node has one address, and the leader's Raft address is where to send users. A
// caller for Raft says its id, address and edition, and must be one of --peers.
//
// # A request's way
//
//	user --> any node --(not leading)--> leader --> handler --> Raft --> cluster.State.Apply
//	worker --> leader's Sessions --> handler --> Raft --> …
//	loop (every 100 ms and on every change): view --> cluster.Plan --> Raft --> orders to sessions
//
// # What survives what
//
// Jobs, generations, cursors, checkpoints and histories are in Raft: they survive
// the loss of any minority, and a restart of all. Sessions and the points of single steps are in the
// leader's memory: a new leader starts without them, waits until the
// workers have found it (at most WorkerTTL) and only then declares any lost.
//
// # Goroutines
//
// Run owns all: the acceptor, the gRPC server, Raft, the leader's loop while it
// leads, and one receiver for each session. It returns when they have ended.
package coordinator
