package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Timing of decisions.
const (
	// settle is how long a broken ring is left alone, so that all of its members
	// can say whom they blame and the sessions of dead ones break.
	settle = 200 * time.Millisecond
	// backoffMin doubles with every generation that got no further, up to backoffMax.
	backoffMin = 200 * time.Millisecond
	backoffMax = 10 * time.Second
	// growAfter is how old a generation must be before workers join it.
	growAfter = time.Second
	// suspension is how long a worker that its neighbours blame is kept out of a job.
	suspension = 30 * time.Second
	// soleSuspect is the number of vain attempts after which one blamer is enough.
	soleSuspect = 3
)

// Worker is one that is alive as the leader sees it.
type Worker struct {
	ID, Address, Incarnation string
	// Connected is false if its stream broke a moment ago: it may yet come back.
	Connected bool
	// Held maps jobs to the furthest state of them that the worker has.
	Held map[string]Cursor
}

// View is what the leader knows besides the state.
type View struct {
	Now time.Time
	// Edition is that of the bits that the coordinator and all workers compute.
	Edition uint32
	// Settled is false just after an election, while workers are finding the new
	// leader: those that are absent may be alive.
	Settled bool
	// Workers are alive; the others are lost.
	Workers []Worker
}

// Decision is an operation that the leader should propose, and why.
type Decision struct {
	Job    string
	Reason string
	Op     Op
}

// String is one line, for logs and tests.
func (d Decision) String() string {
	start, ok := d.Op.(*Start)
	if !ok {
		return fmt.Sprintf("%s %s: %s", d.Job, d.Op.kind(), d.Reason)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s start generation %d", d.Job, start.Generation)
	for _, m := range start.Members {
		fmt.Fprintf(&b, " %s%v", m.Worker, m.Lanes)
	}
	return b.String() + ": " + d.Reason
}

// Plan decides what is to be done now. Jobs are served by priority, then age:
//
//  1. A running job keeps its members while all are alive and its ring is whole.
//     If not, its next generation is made of the members left and of free workers.
//  2. A job that is queued or waiting starts when enough workers are free. Its
//     old members come first, then holders of its state, then others; members
//     that a job further back waits with are taken last. One that can not start
//     does not keep jobs behind it from starting.
//  3. Free workers that are left join running jobs that can use them.
//
// A job with a complete checkpoint starts only with a worker that has a state at
// least as far. The same state and view give the same decisions; when they have
// been applied (and nothing else changed) Plan decides nothing more.
func Plan(s *State, v View) []Decision {
	if !v.Settled {
		return nil
	}
	p := newPlanner(s, v)
	var whole []*Job
	var open []*Job
	for _, j := range s.queue() {
		switch {
		case j.Phase.Ended():
		case j.Phase == Running && p.fault(j) == "":
			whole = append(whole, j)
		default:
			open = append(open, j)
		}
	}
	for i, j := range open {
		p.place(j, open[i+1:])
	}
	for _, j := range whole {
		p.grow(j)
	}
	return p.decisions
}

// planner is one run of Plan.
type planner struct {
	now       time.Time
	edition   uint32
	alive     map[string]Worker
	owner     map[string]string // worker -> job that it trains or waits for
	decisions []Decision
}

func newPlanner(s *State, v View) *planner {
	p := &planner{now: v.Now, edition: v.Edition, alive: map[string]Worker{}, owner: map[string]string{}}
	for _, w := range v.Workers {
		p.alive[w.ID] = w
	}
	for _, j := range s.jobs {
		for _, m := range j.Members {
			if j.Phase.Holds() {
				p.owner[m.Worker] = j.ID
			}
		}
	}
	return p
}

// since returns the time from t to now. Leaders' clocks may differ: a t in the
// future counts as long ago, so that no wait is ever longer than it should be.
func (p *planner) since(t time.Time) time.Duration {
	if p.now.Before(t) {
		return backoffMax
	}
	return p.now.Sub(t)
}

// fault says why a running job needs another generation; "" if it does not.
func (p *planner) fault(j *Job) string {
	var lost []string
	for _, m := range j.Members {
		w, ok := p.alive[m.Worker]
		switch {
		case !ok:
			lost = append(lost, m.Worker+" is lost")
		case w.Incarnation != m.Incarnation:
			lost = append(lost, m.Worker+" restarted")
		case j.Excluded[m.Worker] == m.Incarnation:
			lost = append(lost, m.Worker+" can not do its part")
		case len(j.Blames) > 0 && !w.Connected:
			lost = append(lost, m.Worker+" is gone")
		}
	}
	if len(lost) == 0 && len(j.Blames) > 0 {
		return "the ring broke"
	}
	return strings.Join(lost, ", ")
}

// due says whether enough time has passed to try another generation.
func (p *planner) due(j *Job) bool {
	if len(j.Blames) > 0 && p.since(j.BrokenAt) < settle {
		return false
	}
	if j.Attempts == 0 || j.GenerationAt.IsZero() {
		return true
	}
	wait := min(backoffMin<<min(j.Attempts-1, 16), backoffMax)
	return p.since(j.GenerationAt) >= wait
}

// suspects returns the members that are to be left out for a while: those that two
// others blame, or the only one blamed if the job has not got further for long.
func suspects(j *Job) []string {
	blamers := map[string]int{}
	for _, b := range j.Blames {
		if b.Suspect != "" && b.Suspect != b.Worker && j.Member(b.Suspect) != nil {
			blamers[b.Suspect]++
		}
	}
	var out []string
	for _, w := range slices.Sorted(maps.Keys(blamers)) {
		if blamers[w] >= 2 || len(blamers) == 1 && j.Attempts >= soleSuspect {
			out = append(out, w)
		}
	}
	return out
}

// usable says whether the worker may be a member of the job's next generation.
func (p *planner) usable(j *Job, w Worker) bool {
	if !w.Connected || j.Excluded[w.ID] == w.Incarnation && w.Incarnation != "" {
		return false
	}
	left := j.Suspended[w.ID].Sub(p.now)
	return left <= 0 || left > suspension // no leader suspends for longer: another's clock was ahead
}

// candidates lists the workers that j may get, those it should rather get first.
func (p *planner) candidates(j *Job, behind []*Job) []Worker {
	rank := func(w Worker) int {
		owner := p.owner[w.ID]
		switch {
		case owner == j.ID:
			return 0
		case owner == "" && p.holds(j, w):
			return 1
		case owner == "":
			return 2
		case slices.ContainsFunc(behind, func(b *Job) bool { return b.ID == owner && b.Phase == Waiting }):
			return 3
		}
		return 4
	}
	var out []Worker
	for _, w := range p.alive {
		if p.usable(j, w) && rank(w) < 4 {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b Worker) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) })
	return out
}

// holds says whether w has a state of j that the job may go on from.
func (p *planner) holds(j *Job, w Worker) bool {
	at, ok := w.Held[j.ID]
	floor := j.Floor()
	return ok && (floor == nil || at.Compare(floor.Cursor) >= 0)
}

// place decides on a job that has no whole generation.
func (p *planner) place(j *Job, behind []*Job) {
	fault := ""
	if j.Phase == Running {
		fault = p.fault(j)
	}
	if !p.due(j) {
		return
	}
	all := p.candidates(j, behind)
	out := suspects(j)
	kept := slices.DeleteFunc(slices.Clone(all), func(w Worker) bool { return slices.Contains(out, w.ID) })
	if len(kept) < j.MinWorkers {
		kept, out = all, nil // better with a suspect than not at all
	}
	chosen, reason := p.choose(j, kept, behind)
	if chosen == nil {
		p.hold(j, fault, reason)
		return
	}
	p.start(j, chosen, out, cmp.Or(fault, reason))
}

// choose picks the members of the next generation from the candidates, or says
// why there is none.
func (p *planner) choose(j *Job, from []Worker, behind []*Job) (chosen []Worker, reason string) {
	if len(from) < j.MinWorkers {
		return nil, fmt.Sprintf("waiting for workers: %d of %d needed are free; %d alive", len(from), j.MinWorkers, len(p.alive)) + p.barred(j)
	}
	// Workers that others wait with are taken only to reach the minimum.
	n := len(from)
	for n > j.MinWorkers && p.taken(from[n-1], behind) {
		n--
	}
	chosen = slices.Clone(from[:min(n, j.most())])
	floor := j.Floor()
	holder := func(w Worker) bool { return p.holds(j, w) }
	if floor != nil && !slices.ContainsFunc(chosen, holder) {
		i := slices.IndexFunc(from, holder)
		if i < 0 {
			return nil, fmt.Sprintf("waiting for one of %s, which have the checkpoint at %s: start it, or resume the job to go on without",
				strings.Join(slices.Sorted(slices.Values(floor.Workers)), ", "), floor.Cursor)
		}
		chosen[len(chosen)-1] = from[i]
	}
	return chosen, fmt.Sprintf("ready: %d free, %d needed", len(chosen), j.MinWorkers)
}

// barred names the workers that are alive and may not work on the job.
func (p *planner) barred(j *Job) string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(j.Excluded)) {
		if w, ok := p.alive[id]; ok && w.Incarnation == j.Excluded[id] {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("; kept out by their own errors: %s: see the log of the job, repair and restart them, or resume the job", strings.Join(out, ", "))
}

// taken says whether one of the jobs waits with the worker.
func (p *planner) taken(w Worker, jobs []*Job) bool {
	return slices.ContainsFunc(jobs, func(j *Job) bool { return p.owner[w.ID] == j.ID })
}

// hold says that a job can not run now, unless that has been said.
func (p *planner) hold(j *Job, fault, reason string) {
	if fault != "" {
		reason += " (" + fault + ")"
	} else if before, _, _ := strings.Cut(j.Reason, " ("); before == reason && j.Phase != Running {
		return // known, with a cause that is past
	}
	p.decisions = append(p.decisions, Decision{j.ID, reason, &Hold{Job: j.ID, Generation: j.Generation, Reason: reason}})
}

// start decides on the next generation. Members are ranked by id.
func (p *planner) start(j *Job, chosen []Worker, suspend []string, reason string) {
	for w, job := range p.owner {
		if job == j.ID {
			delete(p.owner, w) // members that are left out are free
		}
	}
	slices.SortFunc(chosen, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	lanes := shard.AssignLanes(j.Lanes, len(chosen), nil)
	op := &Start{Job: j.ID, Generation: j.Generation + 1, Edition: p.edition, Reason: reason, Suspend: suspend}
	if len(suspend) > 0 {
		op.SuspendUntil = p.now.Add(suspension)
		op.Reason += fmt.Sprintf(", without %s for %s: its neighbours could not exchange with it", strings.Join(suspend, ", "), suspension)
	}
	for i, w := range chosen {
		p.owner[w.ID] = j.ID
		op.Members = append(op.Members, Member{Worker: w.ID, Incarnation: w.Incarnation, Address: w.Address, Lanes: lanes[i]})
	}
	p.decisions = append(p.decisions, Decision{j.ID, op.Reason, op})
}

// grow adds free workers to a running job.
func (p *planner) grow(j *Job) {
	room := j.most() - len(j.Members)
	if room <= 0 || p.since(j.GenerationAt) < growAfter || !p.due(j) {
		return
	}
	var chosen, joining []Worker
	for _, w := range p.candidates(j, nil) {
		if j.Member(w.ID) != nil {
			chosen = append(chosen, w)
		} else if len(joining) < room {
			joining = append(joining, w)
		}
	}
	if len(joining) == 0 || len(chosen) < len(j.Members) {
		return // no one to join, or a member's stream broke a moment ago
	}
	names := make([]string, len(joining))
	for i, w := range joining {
		names[i] = w.ID
	}
	p.start(j, append(chosen, joining...), nil, strings.Join(names, ", ")+" joined")
}
