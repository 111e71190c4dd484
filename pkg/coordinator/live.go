package coordinator

import (
	"slices"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/cluster"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// maxPoints bounds the points that are kept of a job.
const maxPoints = 10_000

// maxPast is how many jobs that have ended keep their points.
const maxPast = 20

// live is what the leader knows of a job's present generation before it is
// committed, or without ever committing it. The leader's lock guards it.
type live struct {
	generation uint64
	cursor     cluster.Cursor
	history    []cluster.EpochResult
	rate       float64 // records per second
	points     points
	reported   time.Time // when the generation last reported, or was first seen
	flushed    time.Time // when its progress was last given to Raft
	dirty      bool      // there is progress that was not
}

// liveLocked returns the live part of j's present generation.
func (l *leader) liveLocked(j *cluster.Job) *live {
	p := l.live[j.ID]
	if p == nil {
		p = &live{}
		l.live[j.ID] = p
	}
	if p.generation != j.Generation {
		*p = live{generation: j.Generation, cursor: j.Reached, points: p.points, reported: time.Now()}
	}
	return p
}

// forget drops the live part of jobs that ended, except of the last ones.
func (l *leader) forget() {
	jobs := l.c.fsm.jobs()
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := make(map[string]*live, len(l.live))
	ended := 0
	for _, j := range slices.Backward(jobs) {
		p := l.live[j.ID]
		if p == nil {
			continue
		}
		if j.Phase.Ended() {
			ended++
		}
		if !j.Phase.Ended() || ended <= maxPast {
			kept[j.ID] = p
		}
	}
	l.live = kept
}

// takeLocked returns the progress as a command.
func (p *live) takeLocked(j *cluster.Job, now time.Time) cluster.Op {
	p.dirty, p.flushed = false, now
	return &cluster.Progress{Job: j.ID, Generation: p.generation, Cursor: p.cursor, History: p.history}
}

// report takes in what rank 0 says.
func (l *leader) report(worker string, m *pb.Progress) {
	j, err := l.c.fsm.job(m.JobId)
	if err != nil || j.Generation != m.Generation || !j.Phase.Holds() || j.Member(worker) == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.liveLocked(j)
	p.reported = time.Now()
	if m.Cursor == nil {
		return // the worker still reads the data: it is alive, no more
	}
	cursor := fromCursor(m.Cursor)
	if cursor != p.cursor || len(m.History) > len(p.history) {
		p.dirty = true
	}
	p.cursor, p.rate = cursor, m.RecordsPerSecond
	if len(m.History) >= len(p.history) && len(m.History) <= j.Epochs {
		p.history = fromHistory(m.History)
	}
	for _, point := range m.Points {
		p.points.add(point)
	}
	// Ranks differ by one step at most, so every member has a state as far as
	// the one before this.
	for _, member := range j.Members {
		if s := l.sessions[member.Worker]; s != nil && s.hello.Incarnation == member.Incarnation {
			s.holdsLocked(j.ID, cursor.Back(j.StepsPerEpoch))
		}
	}
	l.c.fsm.changed.fire()
}

// pending returns the progress of a job that is not yet committed, or nil.
func (l *leader) pending(id string) cluster.Op {
	j, err := l.c.fsm.job(id)
	if err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.live[id]
	if p == nil || !p.dirty || p.generation != j.Generation {
		return nil
	}
	return p.takeLocked(j, time.Now())
}

// points is a bounded series of step points, by ascending step. When it is full
// every other point is dropped, so that what is kept spans the whole job evenly.
type points struct {
	stride int64 // only steps that it divides are kept; 0 counts as 1
	kept   []*pb.StepPoint
	last   *pb.StepPoint // the newest, kept or not
}

// add appends a point. One that is not newer than the last is dropped: steps that
// are done again give the same values.
func (p *points) add(point *pb.StepPoint) {
	if point == nil || p.last != nil && point.GlobalStep <= p.last.GlobalStep {
		return
	}
	p.last = point
	p.stride = max(p.stride, 1)
	if point.GlobalStep%p.stride != 0 {
		return
	}
	p.kept = append(p.kept, point)
	for len(p.kept) > maxPoints {
		p.stride *= 2
		n := 0
		for _, k := range p.kept {
			if k.GlobalStep%p.stride == 0 {
				p.kept[n] = k
				n++
			}
		}
		clear(p.kept[n:])
		p.kept = p.kept[:n]
	}
}

// after returns the points of the steps after step, the newest one always included.
func (p *points) after(step int64) []*pb.StepPoint {
	i := len(p.kept)
	for i > 0 && p.kept[i-1].GlobalStep > step {
		i--
	}
	out := append([]*pb.StepPoint(nil), p.kept[i:]...)
	if p.last != nil && p.last.GlobalStep > step && (len(out) == 0 || out[len(out)-1] != p.last) {
		out = append(out, p.last)
	}
	return out
}
