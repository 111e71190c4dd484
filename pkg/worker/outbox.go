package worker

import (
	"sync"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// outboxNotes bounds the notes that wait for a coordinator; older ones go first.
const outboxNotes = 256

// outbox holds what a coordinator must hear, while there may be none. Messages
// are of two kinds:
//
//	note  said once, to whichever coordinator comes first; lost if it dies
//	fact  said again in every session until it is replaced or forgotten: there
//	      is no acknowledgement, and a leader may fall before it commits
//
// A fact has a subject (a job and what is said of it); the newest one replaces
// those before it.
type outbox struct {
	wake chan struct{} // has room for one; filled when there may be something to send

	mu      sync.Mutex // guards what follows
	entries []entry
	notes   int
	session uint64
}

type entry struct {
	fact    bool
	subject subject
	message *pb.ConnectRequest
	sent    uint64 // the session in which a fact was last said
}

type subject struct{ job, what string }

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1)}
}

// note queues a message that is said once.
func (o *outbox) note(m *pb.ConnectRequest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.notes == outboxNotes {
		o.dropLocked(func(e entry) bool { return !e.fact }, 1)
	}
	o.notes++
	o.entries = append(o.entries, entry{message: m})
	o.ring()
}

// fact queues a message that is said in every session, in place of any other
// on the same subject.
func (o *outbox) fact(job, what string, m *pb.ConnectRequest) {
	s := subject{job, what}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropLocked(func(e entry) bool { return e.fact && e.subject == s }, 1)
	o.entries = append(o.entries, entry{fact: true, subject: s, message: m})
	o.ring()
}

// forget drops the facts of a job: all, or only those on the subjects named.
func (o *outbox) forget(job string, what ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropLocked(func(e entry) bool {
		if !e.fact || e.subject.job != job {
			return false
		}
		for _, w := range what {
			if w == e.subject.what {
				return true
			}
		}
		return len(what) == 0
	}, len(o.entries))
}

// begin starts a session: every fact is due again.
func (o *outbox) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.session++
	o.ring()
}

// next returns what is to be sent now, or nil.
func (o *outbox) next() *pb.ConnectRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.entries {
		e := &o.entries[i]
		if !e.fact {
			m := e.message
			o.entries = append(o.entries[:i], o.entries[i+1:]...)
			o.notes--
			return m
		}
		if e.sent != o.session {
			e.sent = o.session
			return e.message
		}
	}
	return nil
}

// dropLocked removes up to n entries that match, oldest first.
func (o *outbox) dropLocked(match func(entry) bool, n int) {
	kept := o.entries[:0]
	for _, e := range o.entries {
		if n > 0 && match(e) {
			n--
			if !e.fact {
				o.notes--
			}
			continue
		}
		kept = append(kept, e)
	}
	clear(o.entries[len(kept):])
	o.entries = kept
}

// ring wakes the sender.
func (o *outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
