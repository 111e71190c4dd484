package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// train goes from the agreed position to the end of the job.
func (g *generation) train(ctx context.Context) error {
	if g.task.span.over(g.replica.at) {
		return nil
	}
	source, err := g.task.train(ctx, g.lanes(), g.replica.at)
	if err != nil {
		return local("training data: %w", err)
	}
	defer source.Close()
	sum := noRing
	if len(g.members) > 1 {
		p := newPipeline(ctx, g.ring, g.members, g.replica.learner)
		defer p.close()
		sum = p.gradient
	}
	g.epochBegan = time.Time{}
	for !g.task.span.over(g.replica.at) {
		if g.replica.at.Step < g.task.span.stepsIn(g.replica.at.Epoch) {
			err = g.step(ctx, source, sum)
		} else {
			err = g.endEpoch(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// noRing takes the place of pipeline.gradient for a worker that trains alone.
func noRing(l learner, b *nn.Batch) error { return l.Gradient(b, ignore) }

func ignore(int) {}

// step does one step and what is due after it.
func (g *generation) step(ctx context.Context, source batches, sum func(learner, *nn.Batch) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r := g.replica
	if r.at.Step == 0 && r.at.Attempt == 0 {
		g.epochBegan = time.Now()
	}
	batch, err := source.Next(ctx)
	if err != nil {
		return local("training data: %w", err)
	}
	if batch.Epoch != r.at.Epoch || batch.Step != r.at.Step {
		return fmt.Errorf("the loader gave epoch %d step %d at %s", batch.Epoch, batch.Step, r.at)
	}
	outcome, err := g.attempt(batch, sum)
	for err == nil && outcome.Repeat {
		r.overflow()
		outcome, err = g.attempt(batch, sum)
	}
	if err != nil {
		return err
	}
	attempt := r.at
	r.commit(outcome.Records, outcome.Loss, outcome.Metrics)
	if err := g.audit.committed(g.task.job, g.assignment.Generation, attempt); err != nil {
		return &localError{err: err}
	}
	g.reporter.step(r.at, outcome.Records, outcome.Loss, outcome.LR, outcome.Metrics)
	return g.afterStep(ctx)
}

// attempt computes the step once. Until Commit returned, nothing has changed.
func (g *generation) attempt(batch *nn.Batch, sum func(learner, *nn.Batch) error) (nn.Outcome, error) {
	if err := g.audit.computed(g.task.job, g.assignment.Generation, g.replica.at.Attempt, batch); err != nil {
		return nn.Outcome{}, &localError{err: err}
	}
	if err := sum(g.replica.learner, batch); err != nil {
		return nn.Outcome{}, err
	}
	outcome, err := g.replica.learner.Commit()
	if err != nil {
		return outcome, fmt.Errorf("%s: %w", g.replica.at, err)
	}
	return outcome, nil
}

// afterStep compares the replicas and saves a checkpoint when it is time. The
// comparison goes first: what is saved was found right.
func (g *generation) afterStep(ctx context.Context) error {
	done := g.task.span.globalStep(g.replica.at)
	due := func(every int) bool { return every > 0 && done%every == 0 }
	save := due(g.task.checkpointEvery) && g.replica.at.Step < g.task.span.stepsIn(g.replica.at.Epoch)
	switch {
	case save:
		return g.checkpoint(ctx)
	case due(g.task.digestEvery):
		return g.compareReplicas(ctx)
	}
	return nil
}
