package cluster

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// The types below are part of log entries and snapshots, which outlive the
// program that wrote them: fields may be added, never renamed or given another
// meaning.

// Phase is where a job is in its life; see the drawing in the package comment.
type Phase string

// The phases of a job.
const (
	Queued    Phase = "queued"
	Running   Phase = "running"
	Waiting   Phase = "waiting"
	Succeeded Phase = "succeeded"
	Failed    Phase = "failed"
	Cancelled Phase = "cancelled"
)

// Ended says whether the job does nothing more by itself.
func (p Phase) Ended() bool { return p == Succeeded || p == Failed || p == Cancelled }

// Holds says whether the job's members are reserved for it: they train, or they
// keep its state in memory until more workers come.
func (p Phase) Holds() bool { return p == Running || p == Waiting }

// Cursor says how far a job is: steps [0, Step) of epoch Epoch are done.
type Cursor struct {
	Epoch int32 `json:"epoch"`
	Step  int64 `json:"step"`
}

// Compare returns -1, 0 or 1 as c is before, at or after o.
func (c Cursor) Compare(o Cursor) int {
	return cmp.Or(cmp.Compare(c.Epoch, o.Epoch), cmp.Compare(c.Step, o.Step))
}

// Back returns the cursor one step earlier, in epochs of steps steps; the first
// cursor has none earlier and is returned as it is.
func (c Cursor) Back(steps int64) Cursor {
	switch {
	case c.Step > 0:
		return Cursor{c.Epoch, c.Step - 1}
	case c.Epoch > 0:
		return Cursor{c.Epoch - 1, max(steps-1, 0)}
	}
	return c
}

// String is "epoch 2 step 100".
func (c Cursor) String() string { return fmt.Sprintf("epoch %d step %d", c.Epoch, c.Step) }

// Member is one worker of a generation. Members stand in rank order.
type Member struct {
	Worker string `json:"worker"`
	// Incarnation is the worker's process: one that restarted is no longer a member.
	Incarnation string `json:"incarnation"`
	// Address is host:port of its peer service.
	Address string `json:"address"`
	// Lanes are those it owns, ascending.
	Lanes []int `json:"lanes"`
}

// Checkpoint is a saved state of a job.
type Checkpoint struct {
	Cursor Cursor `json:"cursor"`
	// SHA256 is the hex checksum of the file, the same on every worker.
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	// Since is the job's EditionSince when the file was first reported: what was made
	// before or after may be another file.
	Since uint64 `json:"since,omitempty"`
	// Workers have the file on disk; in the order they said so.
	Workers []string `json:"workers"`
	// Complete is set once every member of the generation has it: from then on
	// no generation may start below it. (A checkpoint that only some have is
	// used if one of those is there, and not waited for if none is.)
	Complete bool `json:"complete,omitempty"`
}

// Number is a float64 that survives JSON when it is NaN or infinite.
type Number float64

// MarshalJSON writes a number, or "NaN", "+Inf", "-Inf" as strings.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte(strconv.Quote(strconv.FormatFloat(f, 'g', -1, 64))), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		return json.Unmarshal(b, (*float64)(n))
	}
	f, err := strconv.ParseFloat(s, 64)
	*n = Number(f)
	return err
}

// EpochResult is what one finished epoch measured.
type EpochResult struct {
	Epoch        int32             `json:"epoch"`
	TrainLoss    Number            `json:"train_loss"`
	TrainMetrics map[string]Number `json:"train_metrics,omitempty"`
	// TestLoss is nil if the job has no test data.
	TestLoss    *Number           `json:"test_loss,omitempty"`
	TestMetrics map[string]Number `json:"test_metrics,omitempty"`
	// Seconds is the wall time of the epoch.
	Seconds Number `json:"seconds"`
	// GlobalStep counts the steps done since the job began.
	GlobalStep int64 `json:"global_step"`
	// Kept means that the parameters after this epoch were the best so far, and
	// the job restores the best.
	Kept bool `json:"kept,omitempty"`
}

// Event is one line of a job's log.
type Event struct {
	At time.Time `json:"at"`
	// Node is the coordinator or worker that says so.
	Node    string `json:"node"`
	Message string `json:"message"`
	// Routine events come again and again: they are the first to be forgotten.
	Routine bool `json:"routine,omitempty"`
}

// Blame is one member's report that its ring broke.
type Blame struct {
	// Worker reports; empty if the leader itself noticed.
	Worker string `json:"worker"`
	// Suspect is the neighbour that failed it; empty if unknown.
	Suspect string `json:"suspect,omitempty"`
	Error   string `json:"error"`
}
