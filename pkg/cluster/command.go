package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// entryVersion is the version of log entries that this program writes. Version
// 1 is the JSON object
//
//	{"v":1, "kind":"start", "at":"2026-01-02T15:04:05.000Z", "node":"c1", "op":{…}}
//
// in which kind names the operation and op is its struct. Entries are decoded
// strictly: a field that this program does not know means that a newer one wrote
// the log, and to skip it would let replicas drift apart.
const entryVersion = 1

// Command is one entry of the replicated log.
type Command struct {
	// At is when it was proposed, by the leader's clock: the only time that the state knows.
	At time.Time
	// Node is the coordinator that proposed it.
	Node string
	Op   Op
}

// Op is one change of the state; the operations of this package implement it.
type Op interface {
	kind() string
	apply(s *State, c Command) (string, error)
}

// newOp returns an empty operation of a kind, or nil.
func newOp(kind string) Op {
	for _, op := range []Op{
		&Submit{}, &Start{}, &Hold{}, &Progress{}, &Saved{}, &Broken{},
		&Done{}, &Fail{}, &Cancel{}, &Resume{}, &Note{},
	} {
		if op.kind() == kind {
			return op
		}
	}
	return nil
}

type entry struct {
	Version int             `json:"v"`
	Kind    string          `json:"kind"`
	At      time.Time       `json:"at"`
	Node    string          `json:"node"`
	Op      json.RawMessage `json:"op"`
}

// Encode returns the command as a log entry.
func (c Command) Encode() ([]byte, error) {
	op, err := json.Marshal(c.Op)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.Op.kind(), err)
	}
	return json.Marshal(entry{entryVersion, c.Op.kind(), c.At.UTC().Round(0), c.Node, op})
}

// Decode reads a log entry. An error means that the log is damaged or was written
// by a newer program: the replica must stop, for to skip the entry would fork it.
func Decode(data []byte) (Command, error) {
	var e entry
	if err := strict(data, &e); err != nil {
		return Command{}, fmt.Errorf("decode log entry: %w", err)
	}
	if e.Version != entryVersion {
		return Command{}, fmt.Errorf("decode log entry: version %d, this program knows %d", e.Version, entryVersion)
	}
	op := newOp(e.Kind)
	if op == nil {
		return Command{}, fmt.Errorf("decode log entry: unknown kind %q", e.Kind)
	}
	if err := strict(e.Op, op); err != nil {
		return Command{}, fmt.Errorf("decode log entry: %s: %w", e.Kind, err)
	}
	return Command{At: e.At, Node: e.Node, Op: op}, nil
}

// strict decodes exactly one JSON value without unknown fields.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("data after the value")
	}
	return nil
}
