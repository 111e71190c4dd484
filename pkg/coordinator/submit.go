package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"github.com/lockstep-ml/lockstep/internal/rescue"
	"github.com/lockstep-ml/lockstep/pkg/cluster"
	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/shard"
	"github.com/lockstep-ml/lockstep/pkg/weights"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// check is prepare, and makes a panic, say of a layer that a user wrote, an error of
// the job.
func check(ctx context.Context, reader job.Reader, r *pb.SubmitRequest, log *zap.Logger) (*cluster.Submit, error) {
	op, err := func() (_ *cluster.Submit, err error) {
		defer rescue.Catch(&err)
		return prepare(ctx, reader, r)
	}()
	var panicked *rescue.Error
	if errors.As(err, &panicked) {
		log.Error("panic in a job that was submitted", zap.Error(err), zap.ByteString("stack", panicked.Stack))
		return nil, fmt.Errorf("%s: panic when the job was checked: %v", cmp.Or(r.FileName, "job.yaml"), panicked.Value)
	}
	return op, err
}

// prepare checks all that can be checked before a job starts: the job file, the
// data (every record is read, for checksums and normalisation), and that the
// network fits the data. It runs on the leader before the command is proposed;
// what it finds travels in the command, so that no replica reads a file.
func prepare(ctx context.Context, reader job.Reader, r *pb.SubmitRequest) (*cluster.Submit, error) {
	spec, err := reader.Decode(cmp.Or(r.FileName, "job.yaml"), r.JobYaml, r.Overrides)
	if err != nil {
		return nil, err
	}
	root := cmp.Or(r.DataRoot, string(filepath.Separator))
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("data_root %q: give an absolute path: coordinators and workers start in directories of their own", root)
	}
	train, test, err := dataset.Build(ctx, spec.Data, root)
	if err != nil {
		return nil, spec.Explain(err)
	}
	dealer, err := shard.NewDealer(train, spec.Seed, spec.Lanes, spec.GlobalBatch)
	if err != nil {
		return nil, spec.Explain(err)
	}
	steps := dealer.StepsPerEpoch()
	plan, err := spec.CheckInput(dataset.InputOf(train), steps)
	if err != nil {
		return nil, err
	}
	_, report, err := weights.Start(&spec.Start, root, plan)
	if err != nil {
		return nil, spec.Explain(err)
	}
	_, epochs := spec.Length(steps)
	op := &cluster.Submit{
		Name: spec.Name, Priority: spec.Priority, Spec: spec.Canonical(), DataRoot: root,
		TrainManifest: train.Encode(),
		Lanes:         spec.Lanes, MinWorkers: spec.Workers.Min, MaxWorkers: spec.Workers.Max,
		Epochs: epochs, StepsPerEpoch: int64(steps), Records: train.Records, Parameters: int64(plan.Parameters()),
	}
	if report != nil {
		spec.PinWeights(report.SHA256)
		op.Spec, op.Notes = spec.Canonical(), report.Lines()
	}
	if test != nil {
		op.TestManifest = test.Encode()
	}
	return op, nil
}
