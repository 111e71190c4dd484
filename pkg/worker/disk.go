package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// disk is the worker's data directory:
//
//	checkpoints/JOB/…        see pkg/checkpoint
//	models/JOB.safetensors   of jobs that were finished here
//	cache/                   data sets in a form that is quick to read: those of the
//	                         present job, and cacheLimit bytes of others
//	lock                     held by the process that uses the directory
type disk struct {
	root string
	log  *zap.Logger
	lock *os.File

	mu     sync.Mutex                   // guards what follows
	states map[string]checkpoint.Cursor // of each job's newest checkpoint
}

// openDisk makes the directory if need be, takes it for this process, and looks
// for checkpoints in it. The disk must be closed.
func openDisk(root, id string, log *zap.Logger) (_ *disk, err error) {
	d := &disk{root: root, log: log, states: map[string]checkpoint.Cursor{}}
	for _, dir := range []string{d.checkpoints(), filepath.Join(root, "models"), d.cache()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("--data-dir: %w", err)
		}
	}
	if d.lock, err = lockDir(root, id); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	jobs, err := checkpoint.Jobs(d.checkpoints())
	if err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}
	for _, job := range jobs {
		_, entry, skipped, err := checkpoint.Latest(d.checkpoints(), job)
		d.warn(job, skipped)
		if err != nil {
			return nil, fmt.Errorf("--data-dir: %w", err)
		}
		if entry.Path != "" {
			d.states[job] = entry.Cursor
		}
	}
	return d, nil
}

// close gives the directory up.
func (d *disk) close() error { return d.lock.Close() }

func (d *disk) checkpoints() string { return filepath.Join(d.root, "checkpoints") }
func (d *disk) cache() string       { return filepath.Join(d.root, "cache") }

// modelPath returns where the model of a job is, or will be.
func (d *disk) modelPath(job string) (string, error) {
	if job == "" || job == "." || job == ".." || strings.ContainsAny(job, `/\:`+"\x00") {
		return "", fmt.Errorf("%q is not the name of a job", job)
	}
	return filepath.Join(d.root, "models", job+".safetensors"), nil
}

// newest returns the newest whole checkpoint of a job, nil if there is none.
func (d *disk) newest(t *task) (*checkpoint.State, error) {
	state, _, skipped, err := checkpoint.Latest(d.checkpoints(), t.job)
	d.warn(t.job, skipped)
	return state, err
}

func (d *disk) warn(job string, skipped []checkpoint.Skipped) {
	for _, s := range skipped {
		d.log.Warn("checkpoint skipped", zap.String("job", job), zap.String("path", s.Path), zap.Error(s.Reason))
	}
}

// save writes a checkpoint and removes the oldest beyond those to keep.
func (d *disk) save(t *task, s *checkpoint.State) (checkpoint.Entry, error) {
	entry, err := checkpoint.Save(d.checkpoints(), t.job, s)
	if err != nil {
		return entry, err
	}
	d.mu.Lock()
	d.states[t.job] = entry.Cursor
	d.mu.Unlock()
	if err := checkpoint.Prune(d.checkpoints(), t.job, t.checkpointKeep); err != nil {
		d.log.Warn("old checkpoints stay", zap.String("job", t.job), zap.Error(err))
	}
	return entry, nil
}

// held lists what could be trained on from.
func (d *disk) held() []*pb.Held {
	d.mu.Lock()
	defer d.mu.Unlock()
	var held []*pb.Held
	for job, c := range d.states {
		held = append(held, &pb.Held{JobId: job, Cursor: &pb.Cursor{Epoch: int32(c.Epoch), Step: int64(c.Step)}})
	}
	return held
}
