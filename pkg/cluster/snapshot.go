package cluster

import (
	"encoding/json"
	"fmt"
	"io"
)

// snapshotVersion is the version of snapshots that this program writes.
const snapshotVersion = 1

// snapshot is version 1: one JSON object.
type snapshot struct {
	Version int    `json:"v"`
	Last    uint64 `json:"last"`
	Jobs    []*Job `json:"jobs"` // oldest first
}

// Snapshot returns the state as bytes: equal states give equal bytes.
func (s *State) Snapshot() ([]byte, error) {
	b, err := json.Marshal(snapshot{snapshotVersion, s.last, s.Jobs()})
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return b, nil
}

// Clone returns a state that later commands to s do not change. It costs one
// pointer a job.
func (s *State) Clone() *State {
	c := &State{jobs: make(map[string]*Job, len(s.jobs)), last: s.last}
	for id, j := range s.jobs {
		c.jobs[id] = j
	}
	return c
}

// Restore reads what Snapshot wrote.
func Restore(r io.Reader) (*State, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	var v struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if v.Version != snapshotVersion {
		return nil, fmt.Errorf("restore: snapshot version %d, this program knows %d", v.Version, snapshotVersion)
	}
	var snap snapshot
	if err := strict(data, &snap); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	s := NewState()
	s.last = snap.Last
	for _, j := range snap.Jobs {
		s.jobs[j.ID] = j
	}
	return s, nil
}
