package worker

import (
	"context"
	"fmt"
	"time"
)

// endEpoch evaluates the model and moves on to the next epoch. It changes
// nothing before its last line, so it can be done again, with the same result.
func (g *generation) endEpoch(ctx context.Context) error {
	r := g.replica
	n := exactFloat(r.sums.Records)
	result := epochResult{
		Epoch: r.at.Epoch, GlobalStep: g.task.span.globalStep(r.at),
		TrainLoss: r.sums.Loss / n, TrainMetrics: make([]exactFloat, len(r.sums.Metrics)),
	}
	for i, m := range r.sums.Metrics {
		result.TrainMetrics[i] = m / n
	}
	if g.task.test != nil {
		loss, metrics, err := g.evaluate(ctx)
		if err != nil {
			return err
		}
		result.Tested, result.TestLoss = true, exactFloat(loss)
		for _, m := range metrics {
			result.TestMetrics = append(result.TestMetrics, exactFloat(m))
		}
	}
	if !g.epochBegan.IsZero() {
		result.seconds = time.Since(g.epochBegan).Seconds()
	}
	r.endEpoch(result, g.task.span)
	g.reporter.epoch(r.at, r.history)
	if g.task.checkpointEvery > 0 && result.GlobalStep%g.task.checkpointEvery != 0 || g.task.span.over(r.at) {
		return nil
	}
	return g.checkpoint(ctx)
}

// evaluate measures the model on the test data, each rank on its lanes.
func (g *generation) evaluate(ctx context.Context) (loss float64, metrics []float64, err error) {
	l := g.replica.learner
	source, err := g.task.test(ctx, g.lanes())
	if err != nil {
		return 0, nil, local("test data: %w", err)
	}
	defer source.Close()
	l.ResetEval()
	for range g.task.testSteps {
		batch, err := source.Next(ctx)
		if err != nil {
			return 0, nil, local("test data: %w", err)
		}
		if err := l.Evaluate(batch); err != nil {
			return 0, nil, fmt.Errorf("evaluation after epoch %d: %w", g.replica.at.Epoch, err)
		}
		g.reporter.working()
	}
	if err := g.ring.SumInt32(ctx, l.EvalStats()); err != nil {
		return 0, nil, broken(g.members, fmt.Errorf("evaluation after epoch %d: %w", g.replica.at.Epoch, err))
	}
	return l.EvalResult()
}
