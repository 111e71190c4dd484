package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/lockstep-ml/lockstep/pkg/job"
	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// progress shows a job to a person. On a terminal the last line is a bar that
// is redrawn; elsewhere it is a plain line now and then. Epochs, changes of
// state and of members always get a line of their own, which stays.
type progress struct {
	reader job.Reader
	out    io.Writer
	width  func() int // columns of the terminal; 0 if out is none
	now    func() time.Time

	state      pb.JobState
	generation uint64
	reason     string
	epochs     int // lines printed
	point      *pb.StepPoint
	bar        bool // a bar stands on the current line
	drawn      time.Time
	first      sample // where the watch began, for the ETA
}

// sample is how far the job was at a time.
type sample struct {
	at   time.Time
	step int64
}

// Redraw intervals.
const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

func newProgress(r job.Reader, out io.Writer) *progress {
	p := &progress{reader: r, out: out, width: func() int { return 0 }, now: time.Now}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width = func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil || w <= 0 {
				return 80
			}
			return w
		}
	}
	return p
}

// update shows what is new. j is the job as it now is.
func (p *progress) update(j *pb.Job, points []*pb.StepPoint) {
	if n := len(points); n > 0 {
		p.point = points[n-1]
	}
	for ; p.epochs < len(j.GetHistory()); p.epochs++ {
		p.line(epochLine(j.GetHistory()[p.epochs], j.GetEpochs(), max(p.width()-1, 0)))
	}
	p.changes(j)
	if j.GetState() == pb.JobState_JOB_STATE_RUNNING && p.point != nil {
		p.draw(j)
	}
}

// changes prints a line when state, reason or members changed.
func (p *progress) changes(j *pb.Job) {
	if j.GetState() == p.state && j.GetGeneration() == p.generation && (j.GetReason() == p.reason || running(j)) {
		return
	}
	joined := p.state == j.GetState() && j.GetGeneration() == p.generation
	p.state, p.generation, p.reason = j.GetState(), j.GetGeneration(), j.GetReason()
	if joined || !running(j) {
		text := j.GetId() + "  " + stateWord(j.GetState())
		if r := j.GetReason(); r != "" && r != stateWord(j.GetState()) {
			text += "  " + r
		}
		p.line(text)
		return
	}
	var ids []string
	for _, m := range j.GetMembers() {
		ids = append(ids, fmt.Sprintf("%s (%s)", m.GetWorkerId(), plural(len(m.GetLanes()), "lane")))
	}
	p.line(fmt.Sprintf("%s  running  generation %d: %s", j.GetId(), j.GetGeneration(), strings.Join(ids, ", ")))
}

func running(j *pb.Job) bool { return j.GetState() == pb.JobState_JOB_STATE_RUNNING }

// draw shows how far the job is, if it is time to.
func (p *progress) draw(j *pb.Job) {
	now, every := p.now(), lineEvery
	width := p.width()
	if width > 0 {
		every = barEvery
	}
	if now.Sub(p.drawn) < every {
		return
	}
	p.drawn = now
	if p.first.at.IsZero() || p.point.GetGlobalStep() < p.first.step {
		p.first = sample{now, p.point.GetGlobalStep()}
	}
	text := p.status(j, now, max(width-1, 0))
	if width == 0 {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, "\r", clip(text, width-1), "\x1b[K")
	p.bar = true
}

// line prints a line that stays, above the bar if there is one.
func (p *progress) line(text string) {
	if p.bar {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.bar = false
	}
	p.drawn = time.Time{}
	if p.width() == 0 {
		p.drawn = p.now()
	}
	fmt.Fprintln(p.out, text)
}

// close leaves the cursor on a fresh line.
func (p *progress) close() {
	if p.bar {
		fmt.Fprintln(p.out)
		p.bar = false
	}
}

// totalSteps is the length of the job, 0 if it is not known yet. A job file may
// bound the steps, which only the job file tells.
func totalSteps(r job.Reader, j *pb.Job) int64 {
	total := int64(j.GetEpochs()) * j.GetStepsPerEpoch()
	spec, err := r.Decode(j.GetName(), j.GetSpecYaml(), nil)
	if err != nil || j.GetStepsPerEpoch() == 0 {
		return total // another version wrote the file; the epochs are a good guess
	}
	steps, _ := spec.Length(int(j.GetStepsPerEpoch()))
	return int64(steps)
}
