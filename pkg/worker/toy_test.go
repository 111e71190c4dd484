package worker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// toy is a learner that does what matters to a generation at no cost: its
// gradients depend on records and parameters, lanes are added as integers under an
// exponent that is state and that overflows now and then, so that anything lost,
// repeated or mixed up changes the result.
type toy struct {
	lanes     int
	w, slot   []float32
	exponents []int32 // one for each bucket
	ints      []int32
	stats     []int32 // per lane: rows, loss (2), a maximum for each bucket
	eval      []int32 // per lane: rows, loss (2)
	evaluated []int32 // evaluations, and a digest of their losses
	stopAfter int     // evaluations; 0: never
	metrics   [1]float64
	hook      func(point string)
}

const (
	toyBuckets = 2
	toyWidth   = 3 // parameters in a bucket
	toyWords   = 3 + toyBuckets
)

func newToy(lanes int, hook func(string)) *toy {
	n := toyBuckets * toyWidth
	return &toy{
		lanes: lanes, hook: hook,
		w: make([]float32, n), slot: make([]float32, n), exponents: make([]int32, toyBuckets), ints: make([]int32, n),
		stats: make([]int32, lanes*toyWords), eval: make([]int32, lanes*3), evaluated: make([]int32, 2),
	}
}

func (t *toy) Init() {
	for i := range t.w {
		t.w[i], t.slot[i] = float32(i)-2, 0
	}
	for i := range t.exponents {
		t.exponents[i] = -20
	}
	clear(t.evaluated)
}

// draw is a number in [-1, 1) that depends on all its arguments.
func draw(x ...int64) float64 {
	h := uint64(1)
	for _, v := range x {
		h = mix(h, uint64(v))
	}
	h ^= h >> 31
	return float64(int64(h*0xD6E8FEB86659FD93))/(1<<63) + 0
}

func (t *toy) Gradient(b *nn.Batch, ready func(int)) error {
	clear(t.ints)
	clear(t.stats)
	// Some steps have gradients far above the others'.
	level := math.Ldexp(1, int(3*draw(int64(b.Epoch), int64(b.Step))))
	for k := range toyBuckets {
		for i, lane := range b.Lanes {
			t.lane(b, k, i, t.stats[lane*toyWords:][:toyWords], level)
		}
		ready(k)
		t.hook("backward")
	}
	return nil
}

func (t *toy) lane(b *nn.Batch, k, i int, words []int32, level float64) {
	words[0] = int32(b.Rows[i+1] - b.Rows[i])
	var loss, largest float64
	for j := k * toyWidth; j < (k+1)*toyWidth; j++ {
		var g float64
		for _, id := range b.Records[b.Rows[i]:b.Rows[i+1]] {
			g += level * draw(id, int64(j)) * (1 + math.Abs(float64(t.w[j])))
		}
		loss += g * g
		largest = max(largest, math.Abs(g))
		t.ints[j] += int32(math.RoundToEven(math.Ldexp(math.Mod(g, math.Ldexp(1, int(t.exponents[k]))), 20-int(t.exponents[k]))))
	}
	if k == 0 {
		bits := math.Float64bits(loss)
		words[1], words[2] = int32(bits>>32), int32(bits)
	}
	words[3+k] = int32(math.Float32bits(float32(largest)))
}

func (t *toy) Buckets() []nn.Bucket {
	out := make([]nn.Bucket, toyBuckets)
	for k := range out {
		out[k].Int = t.ints[k*toyWidth:][:toyWidth]
	}
	return out
}

func (t *toy) Stats() []int32 { return t.stats }

func (t *toy) Commit() (nn.Outcome, error) {
	t.hook("before commit")
	defer t.hook("after commit")
	rows, loss := total(t.stats, t.lanes, toyWords)
	repeat := false
	var top [toyBuckets]float64
	for k := range toyBuckets {
		for lane := range t.lanes {
			top[k] = max(top[k], float64(math.Float32frombits(uint32(t.stats[lane*toyWords+3+k]))))
		}
		if top[k] >= math.Ldexp(1, int(t.exponents[k])) {
			_, e := math.Frexp(top[k])
			t.exponents[k] = int32(e + 1)
			repeat = true
		}
	}
	if repeat {
		return nn.Outcome{Repeat: true}, nil
	}
	for j := range t.w {
		k := j / toyWidth
		mean := math.Ldexp(float64(t.ints[j]), int(t.exponents[k])-20) / float64(rows)
		t.slot[j] = 0.9*t.slot[j] + float32(mean)
		t.w[j] -= 0.05 * t.slot[j]
	}
	for k := range t.exponents {
		t.exponents[k]--
	}
	t.metrics[0] = float64(t.w[0])
	return nn.Outcome{Loss: loss / float64(rows), Metrics: t.metrics[:], LR: 0.05, Records: rows}, nil
}

// total adds rows and losses of the lanes, in their order.
func total(words []int32, lanes, stride int) (rows int, loss float64) {
	for lane := range lanes {
		w := words[lane*stride:]
		rows += int(w[0])
		loss += math.Float64frombits(uint64(uint32(w[1]))<<32 | uint64(uint32(w[2])))
	}
	return rows, loss
}

func (t *toy) ResetEval() { clear(t.eval) }

func (t *toy) Evaluate(b *nn.Batch) error {
	t.hook("evaluate")
	for i, lane := range b.Lanes {
		words := t.eval[3*lane:]
		_, loss := total(words, 1, 3)
		for _, id := range b.Records[b.Rows[i]:b.Rows[i+1]] {
			loss += float64(t.w[int(id)%len(t.w)]) * draw(id)
			words[0]++
		}
		bits := math.Float64bits(loss)
		words[1], words[2] = int32(bits>>32), int32(bits)
	}
	return nil
}

func (t *toy) EvalStats() []int32 { return t.eval }

func (t *toy) EvalResult() (float64, []float64, error) {
	rows, loss := total(t.eval, t.lanes, 3)
	return loss / float64(rows), []float64{float64(rows)}, nil
}

func (t *toy) Evaluated(loss float64, metrics []float64) (v nn.Verdict) {
	t.evaluated[0]++
	t.evaluated[1] = int32(mix(uint64(t.evaluated[1]), math.Float64bits(loss+metrics[0])))
	v.Kept = t.evaluated[1]&1 == 0
	if int(t.evaluated[0]) == t.stopAfter {
		v.Stop = "enough"
	}
	return v
}

func (t *toy) State() []nn.Tensor {
	return append(t.ParamTensors(),
		nn.Tensor{Name: "slot", Shape: []int{len(t.slot)}, F32: t.slot},
		nn.Tensor{Name: "exponents", Shape: []int{len(t.exponents)}, I32: t.exponents},
		nn.Tensor{Name: "evaluated", Shape: []int{len(t.evaluated)}, I32: t.evaluated})
}

func (t *toy) ParamTensors() []nn.Tensor {
	return []nn.Tensor{{Name: "w", Shape: []int{len(t.w)}, F32: t.w}}
}

func (t *toy) SetState(from []nn.Tensor) error {
	for i, to := range t.State() {
		copy(to.F32, from[i].F32)
		copy(to.I32, from[i].I32)
	}
	return nil
}

// weights is the digest of the model.
func (t *toy) weights() string {
	var b []byte
	for _, f := range t.w {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// toyBatches deals record ids without any data.
type toyBatches struct {
	dealer *shard.Dealer
	lanes  []int
	at     position
	batch  nn.Batch
	hook   func(string)
}

func (l *toyBatches) Next(ctx context.Context) (*nn.Batch, error) {
	l.hook("next batch")
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if l.at.Step == l.dealer.StepsPerEpoch() {
		if !l.dealer.Endless() {
			return nil, io.EOF
		}
		l.at = position{Epoch: l.at.Epoch + 1}
	}
	b := &l.batch
	b.Epoch, b.Step, b.Lanes = l.at.Epoch, l.at.Step, l.lanes
	b.Rows, b.Records = append(b.Rows[:0], 0), b.Records[:0]
	for _, lane := range l.lanes {
		b.Records = append(b.Records, l.dealer.MicroBatch(nil, b.Epoch, b.Step, lane)...)
		b.Rows = append(b.Rows, len(b.Records))
	}
	l.at.Step++
	return b, nil
}

func (l *toyBatches) Close() {}
