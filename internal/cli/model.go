package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// modelUse is what the commands that use a model have in common: a model file, the job it
// belongs to, and which of the job's records to use it on.
type modelUse struct {
	path    string
	job     jobFile
	split   string
	records string // a file of new records instead of a split, or ""
	threads int
}

// addJob adds the flags that name the job.
func (u *modelUse) addJob(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&u.job.path, "job", "j", "", "job file that the model was trained with")
	u.job.addFlags(cmd.Flags())
}

// addFlags adds also those that say what to compute.
func (u *modelUse) addFlags(cmd *cobra.Command) {
	u.addJob(cmd)
	cmd.Flags().StringVar(&u.split, "data", "test", "which records of the job: test or train")
	u.addThreads(cmd)
}

func (u *modelUse) addThreads(cmd *cobra.Command) {
	cmd.Flags().IntVar(&u.threads, "threads", runtime.NumCPU(), "threads for arithmetic")
}

// What a model file says of the data that it was trained on.
const (
	metaInput = "lockstep.input"
	metaFit   = "lockstep.fit"
)

// model is a network with the weights of a file, ready to be applied.
type model struct {
	*checked
	sha256   string // of the file that the weights are from
	manifest *shard.Manifest
	set      *dataset.Set
	engine   *tensor.Engine
	trainer  *nn.Trainer
}

// modelFile is what a model file holds; all is empty if none is named.
type modelFile struct {
	tensors  []checkpoint.Tensor
	metadata map[string]string
	sha256   string
}

// read reads the model file, if one is named.
func (u *modelUse) read() (f modelFile, err error) {
	switch {
	case u.job.path == "":
		return f, usageError{errors.New("--job is missing: the job file that the model was trained with")}
	case u.path == "":
		return f, nil
	}
	var entry checkpoint.Entry
	if f.tensors, f.metadata, entry, err = checkpoint.LoadModel(u.path); err != nil {
		if strings.EqualFold(filepath.Ext(u.path), ".onnx") && errors.Is(err, safetensors.ErrFormat) {
			err = hint{err, "lockstep import makes a model of an ONNX file"}
		}
		return f, usageError{err}
	}
	f.sha256 = entry.SHA256
	return f, nil
}

// open reads everything that is named. The model must be closed.
func (u *modelUse) open(ctx context.Context) (m *model, err error) {
	file, err := u.read()
	if err != nil {
		return nil, err
	}
	m = &model{sha256: file.sha256}
	if m.checked, err = u.check(ctx, file); err != nil {
		return nil, err
	}
	if u.path == "" {
		if m.start == nil {
			return nil, usageError{fmt.Errorf("MODEL is missing: a model file; %s has no start section that names one", u.job.path)}
		}
		m.sha256 = m.start.SHA256
	}
	if m.set, err = u.openSet(ctx, m.checked, file); err != nil {
		return nil, err
	}
	m.manifest = m.set.Manifest()
	return m, u.build(m, file.tensors, m.maxRows(), m.spec.Lanes)
}

// check checks the job. For new records the data that the model was trained on are
// read only if its file does not say what has to be known of them.
func (u *modelUse) check(ctx context.Context, file modelFile) (*checked, error) {
	if u.records != "" {
		spec, _, err := u.job.read()
		if err != nil {
			return nil, err
		}
		if c, err := u.fitted(spec, file); c != nil || err != nil {
			return c, err
		}
	}
	return check(ctx, &u.job)
}

// fitted checks spec by what the model file says of the data that the model was
// trained on. It returns nil if the file is of another program, which says nothing.
func (u *modelUse) fitted(spec *job.Spec, file modelFile) (*checked, error) {
	input, fit := file.metadata[metaInput], file.metadata[metaFit]
	if input == "" || fit == "" {
		return nil, nil
	}
	m := &shard.Manifest{}
	if err := errors.Join(json.Unmarshal([]byte(input), &m.Input), json.Unmarshal([]byte(fit), &m.Fit)); err != nil {
		return nil, u.otherData(err.Error())
	}
	plan, err := spec.CheckInput(dataset.InputOf(m), 1) // steps matter to training only
	if err != nil {
		return nil, usageError{err}
	}
	return &checked{spec: spec, train: m, plan: plan}, nil
}

// openSet opens the records that were asked for.
func (u *modelUse) openSet(ctx context.Context, c *checked, file modelFile) (*dataset.Set, error) {
	if u.records != "" {
		set, err := dataset.OpenRecords(ctx, c.spec.Data, u.records, c.train)
		if err != nil && ctx.Err() == nil {
			err = usageError{err}
		}
		return set, err
	}
	m, err := u.choose(c)
	if err != nil {
		return nil, err
	}
	if err := u.compare(m, file.metadata); err != nil {
		return nil, err
	}
	return dataset.Open(ctx, c.spec.Data, c.root, m, "")
}

// build makes the network, for so many rows and lanes, with the weights of the
// file. It closes the model if it fails.
func (u *modelUse) build(m *model, tensors []checkpoint.Tensor, rows, lanes int) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.engine, err = tensor.New(tensor.Config{ISA: os.Getenv("LOCKSTEP_ISA"), Threads: u.threads}); err != nil {
		return usageError{err}
	}
	if m.trainer, err = nn.NewTrainer(m.engine, m.plan, rows, lanes); err != nil {
		return err
	}
	m.trainer.Init()
	if u.path == "" {
		return nil
	}
	return u.load(m, tensors)
}

// choose returns the manifest of the records that were asked for.
func (u *modelUse) choose(c *checked) (*shard.Manifest, error) {
	switch {
	case u.split == "train":
		return c.train, nil
	case u.split != "test":
		return nil, usageError{fmt.Errorf("--data %q: expected test or train", u.split)}
	case c.test == nil:
		return nil, usageError{fmt.Errorf("%s names no test data; use --data train", u.job.path)}
	}
	return c.test, nil
}

// compare refuses data that would mean something else to the network than those
// that it was trained on: other classes, columns or normalisation. A file of
// another program does not say what it was trained on.
func (u *modelUse) compare(m *shard.Manifest, metadata map[string]string) error {
	for key, now := range map[string]any{metaInput: m.Input, metaFit: m.Fit} {
		text, err := json.Marshal(now)
		if err != nil {
			return err
		}
		if then := metadata[key]; then != "" && then != string(text) {
			return u.otherData("their classes, columns or statistics differ")
		}
	}
	return nil
}

// otherData says that the model was trained on other data, why that is known, and
// what to do.
func (u *modelUse) otherData(why string) error {
	return usageError{hint{fmt.Errorf("%s was trained on other data than %s names: %s", u.path, u.job.path, why),
		"use the job file, data and --set that it was trained with; predict --records FILE reads new records"}}
}

// maxRows is the most rows that a batch of all lanes, or of one, can have.
func (m *model) maxRows() int {
	perLane := (m.spec.GlobalBatch + m.spec.Lanes - 1) / m.spec.Lanes
	return perLane * m.spec.Lanes
}

func (u *modelUse) load(m *model, tensors []checkpoint.Tensor) error {
	params := make([]nn.Tensor, len(tensors))
	for i, t := range tensors {
		params[i] = nn.Tensor{Name: t.Name, Shape: t.Shape, F32: t.F32}
	}
	if err := m.trainer.SetParams(params); err != nil {
		return usageError{hint{fmt.Errorf("%s does not fit %s: %w", u.path, u.job.path, err), "is it the model of another job file?"}}
	}
	return nil
}

// Close frees what open opened.
func (m *model) Close() error {
	var err error
	if m.set != nil {
		err = m.set.Close()
	}
	if m.engine != nil {
		m.engine.Close()
	}
	return err
}

// each calls f with the batches of one pass over the records, dealt to lanes.
func (m *model) each(ctx context.Context, lanes int, f func(*nn.Batch) error) error {
	dealer, err := shard.Sequential(m.manifest, lanes, m.spec.GlobalBatch)
	if err != nil {
		return err
	}
	all := make([]int, lanes)
	for i := range all {
		all[i] = i
	}
	loader := m.set.Loader(ctx, dealer, all, 0, 0, 2)
	defer loader.Close()
	for {
		b, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
}
