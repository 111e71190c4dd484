package worker

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// audit writes what was consumed, one JSON object a line:
//
//	{"computed":{"job":…,"gen":…,"attempt":…,"epoch":…,"step":…,"lane":…,"records":[…]}}
//	{"committed":{"job":…,"gen":…,"attempt":…,"epoch":…,"step":…}}
//
// A computed line is on its way to the file before the lane's gradient is
// contributed, a committed line after the step was done on this worker. A record
// counts for the last attempt of its step that was committed. Lines survive
// kill -9 of the worker, though not a crash of the machine. A nil audit writes
// nothing.
type audit struct {
	mu   sync.Mutex // guards file
	file *os.File
}

type auditStep struct {
	Job        string  `json:"job"`
	Generation uint64  `json:"gen"`
	Attempt    int     `json:"attempt"`
	Epoch      int     `json:"epoch"`
	Step       int     `json:"step"`
	Lane       *int    `json:"lane,omitempty"`
	Records    []int64 `json:"records,omitempty"`
}

// openAudit appends to path; an empty path means no audit.
func openAudit(path string) (*audit, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("--audit: %w", err)
	}
	return &audit{file: f}, nil
}

// computed records the micro-batches of one attempt.
func (a *audit) computed(job string, gen uint64, attempt int, b *nn.Batch) error {
	if a == nil {
		return nil
	}
	for i, lane := range b.Lanes {
		s := auditStep{job, gen, attempt, b.Epoch, b.Step, &lane, b.Records[b.Rows[i]:b.Rows[i+1]]}
		if err := a.write(map[string]auditStep{"computed": s}); err != nil {
			return err
		}
	}
	return nil
}

// committed records that the step is done on this worker.
func (a *audit) committed(job string, gen uint64, at position) error {
	if a == nil {
		return nil
	}
	s := auditStep{Job: job, Generation: gen, Attempt: at.Attempt, Epoch: at.Epoch, Step: at.Step}
	return a.write(map[string]auditStep{"committed": s})
}

func (a *audit) write(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("--audit: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("--audit: %w", err)
	}
	return nil
}

func (a *audit) close() error {
	if a == nil {
		return nil
	}
	return a.file.Close()
}
