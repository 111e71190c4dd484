package e2e

import (
	"fmt"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The data of small jobs, and a network for them.
const (
	onImages = "data: {format: idx, train: {images: i, labels: l}}\nmodel: [flatten, {dense: 10}]\nloss: cross_entropy\n"
	onTwo    = "data: {format: csv, train: t.csv, target: y, columns: {y: category}}\nmodel: [{dense: 2}]\nloss: cross_entropy\n"
	onValues = "data: {format: csv, train: t.csv, target: y}\nmodel: [{dense: 1}]\nloss: mse\n"
	onWords  = "data: {format: csv, train: t.csv, target: y, columns: {y: category, x: text}, length: 9}\nmodel: [{embedding: 8}, {rnn: {units: 4, output: last}}, {dense: 4}]\nloss: cross_entropy\n"
	onText   = "data: {format: text, train: t.txt, length: 6}\nmodel: [{embedding: 4}, {dense: 12}]\nloss: cross_entropy\n"
)

// smallJobs are jobs that together name every kind of the catalogue, with what it
// may be told: the data, and what takes the place of their network and so on.
func smallJobs() [][2]string {
	jobs := [][2]string{
		{onImages, "model=[{conv2d: {filters: 2, kernel: 5, stride: 3, init: orthogonal}}, flatten, {dense: {units: 10, init: lecun_normal}}]"},
		{onImages, "model=[{reshape: [28, 28]}, {conv1d: {filters: 4, same: true, dilation: 2}}, global_max_pool, {dense: 10}]"},
		{onImages, "model=[{max_pool: 4}, {conv_transpose2d: {filters: 2, dilation: 2, init: he_uniform}}, {upsample: 2}, flatten, {dense: 10}]"},
		{onImages, "model=[{avg_pool: {size: 4, stride: 2, padding: 1}}, {pad: {before: 1, axis: 1}}, flatten, {dense: {units: 10, lr_factor: 0.5}}]"},
		{onImages, "model=[{conv2d: {filters: 4, groups: 1}}, batch_norm, {spatial_dropout: 0.3}, {group_norm: 2}, global_avg_pool, {dense: 10}]"},
		{onImages, "model=[{reshape: [14, 56]}, transpose, flatten, {gaussian_noise: 0.2}, {dense: 8}, layer_norm, {dropout: 0.3}, {dense: 10}]"},
		{onImages, "model=[{flatten: {name: f}}, {dense: {units: 8, name: a}}, {dense: {units: 8, from: f, name: b}}, {add: {from: [a, b], name: s}}, {multiply: {from: [a, b], name: m}}," +
			" {dot: {from: [s, m], name: d}}, {concat: {from: [s, m, d]}}, {dense: 10}]"},
		{onWords, "model=[{embedding: 8}, {positions: sinusoidal}, {attention: {heads: 2, padding: 0}}, {gru: {units: 8, bidirectional: true, padding: 0, state_init: orthogonal}}," +
			" {lstm: {units: 8, truncate: 4, output: last, init: glorot_uniform}}, {dense: 4}]"},
		{onImages, "loss={cross_entropy: {label_smoothing: 0.1}}"}, {onTwo, "loss={cross_entropy: {class_weights: [1, 3], ignore: 1}}"}, {onImages, "loss={hinge: 0.5}"},
		{onValues, "loss=binary_cross_entropy"}, {onValues, "loss=mae"}, {onValues, "loss={huber: 0.5}"}, {onValues, "loss=kl_divergence"}, {onText, "loss=ctc"},
		{onImages, "metrics=[accuracy, {top_k: 3}, precision, {recall: 1}, f1, perplexity]"}, {onTwo, "metrics=[roc_auc]"}, {onValues, "metrics=[mae, rmse, r2]"},
		{onImages, "augment=[{crop: 2}, {resize_crop: 0.5}, flip, {rotation: 10}, {colour: {brightness: 0.2, contrast: 0.2}}, erase, {noise: 0.1}, mixup]"},
		{onImages, "early_stop={metric: accuracy}"}, {onImages, "recipe=supervised"}, {onImages, "groups=[{match: .*bias, decay_factor: 0}, {match: '1.*', lr_factor: 0.1}]"},
		{onImages, "optimizer={sgd: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01, l1: 0.01, clip_norm: 1, clip_value: 0.5, max_norm: 2, ema: 0.9}}"},
		{onImages, "workers={records: 3, features: 0}"}, {onWords, "metrics=[accuracy]"},
	}
	for _, e := range nn.Catalogue() {
		switch e.Class {
		case "activation":
			jobs = append(jobs, [2]string{onValues, "model=[{dense: 4}, " + e.Name + ", {dense: 1}]"})
		case "optimizer", "schedule":
			jobs = append(jobs, [2]string{onTwo, e.Class + "=" + e.Name})
		}
	}
	return jobs
}

// TestEveryKindFromAJobFile trains three steps of jobs that together name every
// kind of the catalogue but the recipes, which docs/tasks.md shows, in exact and
// in fast arithmetic.
func TestEveryKindFromAJobFile(t *testing.T) {
	named := map[string]bool{"gaussian_sample": true} // belongs to a recipe
	for i, small := range smallJobs() {
		for _, arithmetic := range []string{"exact", "fast"} {
			text := fmt.Sprintf("name: small\n%soptimizer: sgd\nepochs: 3\n", small[0])
			overrides := []string{"global_batch=6", "lanes=2", "arithmetic=" + arithmetic, small[1]}
			if _, test := map[string]bool{"early_stop={metric: accuracy}": true, "schedule=plateau": true}[small[1]]; test {
				overrides = append(overrides, "data.test={fraction: 0.2}", "metrics=[accuracy]")
			}
			spec, err := job.Decode("small.yaml", []byte(text), overrides)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, text, small[1])
			}
			t.Run(fmt.Sprint(i, " ", small[1]), func(t *testing.T) { threeSteps(t, spec) })
			name(named, spec.Net.Model, spec.Net.Metrics, spec.Augment, []nn.Node{spec.Net.Loss, spec.Net.Optimizer, spec.Net.Schedule})
		}
	}
	for _, e := range (job.Reader{}).Catalogue() {
		if e.Class != "recipe" && !named[e.Name] {
			t.Errorf("%s %s: no job names it", e.Class, e.Name)
		}
	}
}

func name(named map[string]bool, lists ...[]nn.Node) {
	for _, list := range lists {
		for _, n := range list {
			named[n.Kind] = true
		}
	}
}
