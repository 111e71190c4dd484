package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"github.com/lockstep-ml/lockstep/pkg/weights"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

const (
	// digestEvery is how many steps lie between two comparisons of the replicas,
	// besides those before each checkpoint.
	digestEvery = 200
	// prefetch is how many batches are read ahead.
	prefetch = 3
	// cacheLimit is how many bytes the tables of data sets that the present job does
	// not use may take, those last used before others.
	cacheLimit = 32 << 30
)

// split is one half of a job's data, opened.
type split struct {
	manifest *shard.Manifest
	dealer   *shard.Dealer
	set      *dataset.Set
}

// prepare makes the job of an assignment ready on this worker. What it refuses
// the coordinator has let pass, so it is this worker's version or its copy of the
// data that is at odds.
func (w *worker) prepare(ctx context.Context, a *pb.Assignment) (_ *task, err error) {
	spec, err := job.Reader{Kinds: w.config.Kinds}.Decode(a.JobId, a.SpecYaml, nil)
	if err != nil {
		return nil, local("job file: %w", err)
	}
	train, test, err := w.openData(ctx, a, spec)
	if err != nil {
		return nil, local("data: %w", err)
	}
	t := &task{job: a.JobId, digest: digestOf(a.SpecYaml, a.TrainManifest, a.TestManifest), digestEvery: digestEvery,
		checkpointEvery: spec.Checkpoint.Every, checkpointKeep: spec.Checkpoint.Keep}
	t.close = func() error { return errors.Join(train.close(), test.close()) }
	done := false
	defer func() {
		if !done { // after a panic too
			err = errors.Join(err, t.close())
		}
	}()
	if err := train.set.Augment(spec.Augment, spec.Seed); err != nil {
		return nil, local("job file: %w", spec.Explain(err))
	}
	t.span.StepsPerEpoch = train.dealer.StepsPerEpoch()
	t.span.Steps, t.span.Epochs = spec.Length(t.span.StepsPerEpoch)
	plan, err := spec.CheckInput(dataset.InputOf(train.manifest), t.span.StepsPerEpoch)
	if err != nil {
		return nil, local("job file: %w", err)
	}
	if plan, _, err = weights.Start(&spec.Start, a.DataRoot, plan); err != nil {
		return nil, local("%w", spec.Explain(err))
	}
	t.metrics = plan.MetricNames()
	t.newLearner = func(lanes []int) (learner, error) {
		rows := train.dealer.MaxLaneCount()
		if test != nil {
			rows = max(rows, test.dealer.MaxLaneCount())
		}
		l, err := nn.NewTrainer(w.engine, plan, spec.Workers.Rows(rows, len(lanes)), len(lanes))
		if err == nil {
			keepFeatures(l, spec, train, test)
		}
		return l, err
	}
	t.train = func(ctx context.Context, lanes []int, from position) (batches, error) {
		return train.set.Loader(ctx, train.dealer, lanes, from.Epoch, from.Step, prefetch), nil
	}
	if test != nil {
		t.testSteps = test.dealer.StepsPerEpoch()
		t.test = func(ctx context.Context, lanes []int) (batches, error) {
			return test.set.Loader(ctx, test.dealer, lanes, 0, 0, prefetch), nil
		}
	}
	t.saveModel = func(l learner) (string, error) { return w.saveModel(a.JobId, train.manifest, l) }
	done = true
	return t, nil
}

// keepFeatures lets a trainer keep what frozen layers make of records that are the
// same each time.
func keepFeatures(l *nn.Trainer, spec *job.Spec, train, test *split) {
	var records [2]int64
	if len(spec.Augment) == 0 {
		records[0] = train.manifest.Records
	}
	if test != nil {
		records[1] = test.manifest.Records
	}
	l.KeepFeatures(int64(spec.Workers.Features)<<20, records[0], records[1])
}

// openData opens the training data, and the test data if there are any.
func (w *worker) openData(ctx context.Context, a *pb.Assignment, spec *job.Spec) (train, test *split, err error) {
	open := func(manifest []byte) (*split, error) {
		m, err := shard.Decode(manifest)
		if err != nil {
			return nil, err
		}
		var dealer *shard.Dealer
		if m.Split == shard.Test {
			dealer, err = shard.Sequential(m, spec.Lanes, spec.GlobalBatch)
		} else {
			dealer, err = shard.NewDealer(m, spec.Seed, spec.Lanes, spec.GlobalBatch)
		}
		if err != nil {
			return nil, err
		}
		set, err := dataset.Open(ctx, spec.Data, a.DataRoot, m, w.disk.cache())
		return &split{m, dealer, set}, err
	}
	if train, err = open(a.TrainManifest); err != nil {
		return nil, nil, err
	}
	inUse := []*dataset.Set{train.set}
	if len(a.TestManifest) > 0 {
		if test, err = open(a.TestManifest); err != nil {
			return nil, nil, errors.Join(err, train.close())
		}
		inUse = append(inUse, test.set)
	}
	if err := dataset.Tidy(w.disk.cache(), cacheLimit, time.Now(), inUse...); err != nil {
		w.disk.log.Warn("old tables stay", zap.Error(err))
	}
	return train, test, nil
}

func (s *split) close() error {
	if s == nil {
		return nil
	}
	return s.set.Close()
}

// saveModel writes the model file. Its metadata hold what a program needs to feed
// the network, and nothing that differs from one cluster to another.
func (w *worker) saveModel(job string, m *shard.Manifest, l learner) (string, error) {
	path, err := w.disk.modelPath(job)
	if err != nil {
		return "", err
	}
	input, err := json.Marshal(m.Input)
	if err != nil {
		return "", fmt.Errorf("model metadata: %w", err)
	}
	fit, err := json.Marshal(m.Fit)
	if err != nil {
		return "", fmt.Errorf("model metadata: %w", err)
	}
	metadata := map[string]string{"lockstep.input": string(input), "lockstep.fit": string(fit)}
	entry, err := checkpoint.SaveModel(path, tensorsOf(l.ParamTensors()), metadata)
	return entry.SHA256, err
}

// digestOf names a job with its data.
func digestOf(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
