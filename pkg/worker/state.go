package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/lockstep-ml/lockstep/pkg/checkpoint"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// metaReplica is the metadata key of a replica's record.
const metaReplica = "replica"

// snapshot copies the replica into s, whose memory it uses again if it has the
// room.
func (r *replica) snapshot(t *task, s *checkpoint.State) error {
	text, err := r.describe()
	if err != nil {
		return err
	}
	s.Cursor = checkpoint.Cursor{Epoch: r.at.Epoch, Step: r.at.Step}
	s.Job, s.Meta = t.digest, map[string]string{metaReplica: text}
	views := r.learner.State()
	if len(s.Tensors) != len(views) {
		s.Tensors = make([]checkpoint.Tensor, len(views))
	}
	for i, v := range views {
		c := &s.Tensors[i]
		c.Name, c.Shape = v.Name, v.Shape
		c.F32, c.I32 = append(c.F32[:0], v.F32...), append(c.I32[:0], v.I32...)
	}
	return nil
}

// encode returns the replica in the form of a checkpoint.
func (r *replica) encode(t *task) ([]byte, error) {
	text, err := r.describe()
	if err != nil {
		return nil, err
	}
	s := &checkpoint.State{
		Cursor: checkpoint.Cursor{Epoch: r.at.Epoch, Step: r.at.Step},
		Job:    t.digest, Meta: map[string]string{metaReplica: text},
		Tensors: tensorsOf(r.learner.State()),
	}
	var out bytes.Buffer
	if _, _, err := checkpoint.Encode(&out, s); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func tensorsOf(views []nn.Tensor) []checkpoint.Tensor {
	out := make([]checkpoint.Tensor, len(views))
	for i, v := range views {
		out[i] = checkpoint.Tensor{Name: v.Name, Shape: v.Shape, F32: v.F32, I32: v.I32}
	}
	return out
}

// decode replaces the replica by one that encode made elsewhere.
func (r *replica) decode(t *task, data []byte) error {
	s, err := checkpoint.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return r.restore(t, s)
}

// restore replaces the replica by the state s. After an error it is as it was.
func (r *replica) restore(t *task, s *checkpoint.State) error {
	if s.Job != t.digest {
		return errors.New("the state is of another job, or of this job with other data")
	}
	var rec record
	if err := json.Unmarshal([]byte(s.Meta[metaReplica]), &rec); err != nil {
		return fmt.Errorf("record of the state: %w", err)
	}
	if s.Cursor.Epoch > math.MaxInt32 || s.Cursor.Step > math.MaxInt32 || min(rec.Attempt, rec.Edition) < 0 || max(rec.Attempt, rec.Edition) > math.MaxInt32 {
		return fmt.Errorf("the state's position, %v attempt %d edition %d, can not be", s.Cursor, rec.Attempt, rec.Edition)
	}
	from := make([]nn.Tensor, len(s.Tensors))
	for i, c := range s.Tensors {
		from[i] = nn.Tensor{Name: c.Name, Shape: c.Shape, F32: c.F32, I32: c.I32}
	}
	if err := r.learner.SetState(from); err != nil {
		return err
	}
	r.held, r.at = true, position{Epoch: s.Cursor.Epoch, Step: s.Cursor.Step, Attempt: rec.Attempt, Edition: rec.Edition}
	r.sums, r.history, r.stopped = rec.Sums, rec.History, rec.Stopped
	return nil
}

// digest returns a number that is the same for equal replicas, and by chance
// alone for others. It is no defence against malice. It reads memory at some
// GB/s.
func (r *replica) digest() (uint64, error) {
	text, err := r.describe()
	if err != nil {
		return 0, err
	}
	h := mix(uint64(r.at.Epoch), uint64(r.at.Step))
	for _, c := range []byte(text) {
		h = mix(h, uint64(c))
	}
	for _, v := range r.learner.State() {
		h = mix(h, uint64(len(v.F32)))
		for _, f := range v.F32 {
			h = mix(h, uint64(math.Float32bits(f)))
		}
		for _, i := range v.I32 {
			h = mix(h, uint64(uint32(i)))
		}
	}
	return h, nil
}

// mix is one round of a multiplicative hash: it is a bijection of h for each w, so
// one difference can not vanish.
func mix(h, w uint64) uint64 {
	return bits.RotateLeft64((h^w)*0x9E3779B97F4A7C15, 29)
}
