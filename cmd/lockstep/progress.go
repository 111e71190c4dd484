package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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
	out   io.Writer
	width func() int // columns of the terminal; 0 if out is none
	now   func() time.Time

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

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, width: func() int { return 0 }, now: time.Now}
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
		p.line(epochLine(j.GetHistory()[p.epochs], j.GetEpochs()))
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
	text := p.status(j, now, width)
	if width == 0 {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, "\r", clip(text, width-1), "\x1b[K")
	p.bar = true
}

// status is one line: share done, loss, metrics, speed, time left.
func (p *progress) status(j *pb.Job, now time.Time, width int) string {
	total := totalSteps(j)
	step := p.point.GetGlobalStep()
	parts := []string{fmt.Sprintf("epoch %d/%d", min(p.point.GetCursor().GetEpoch()+1, j.GetEpochs()), j.GetEpochs())}
	if total > 0 {
		share := min(float64(step)/float64(total), 1)
		parts = append(parts, fmt.Sprintf("%3.0f%%", 100*share))
		if width > 0 {
			parts = append([]string{barOf(share, min(30, width/4))}, parts...)
		}
	}
	parts = append(parts, "loss "+number(p.point.GetLoss()))
	parts = append(parts, metricTexts("", p.point.GetMetrics())...)
	parts = append(parts, thousands(int64(p.point.GetRecordsPerSecond()))+" records/s")
	if done := step - p.first.step; done > 0 && total > step {
		left := time.Duration(float64(now.Sub(p.first.at)) / float64(done) * float64(total-step))
		parts = append(parts, "ETA "+left.Round(time.Second).String())
	}
	return strings.Join(parts, "  ")
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
func totalSteps(j *pb.Job) int64 {
	total := int64(j.GetEpochs()) * j.GetStepsPerEpoch()
	spec, err := job.Decode(j.GetName(), j.GetSpecYaml(), nil)
	if err != nil || j.GetStepsPerEpoch() == 0 {
		return total // another version wrote the file; the epochs are a good guess
	}
	steps, _ := spec.Length(int(j.GetStepsPerEpoch()))
	return int64(steps)
}

func epochLine(e *pb.EpochResult, epochs int32) string {
	digits := len(fmt.Sprint(epochs))
	parts := []string{fmt.Sprintf("epoch %*d/%d", digits, e.GetEpoch()+1, epochs), "loss " + number(e.GetTrainLoss())}
	parts = append(parts, metricTexts("", e.GetTrainMetrics())...)
	if e.TestLoss != nil {
		parts = append(parts, "test loss "+number(e.GetTestLoss()))
		parts = append(parts, metricTexts("test ", e.GetTestMetrics())...)
	}
	if s := e.GetSeconds(); s > 0 { // nobody timed an epoch that changed hands
		parts = append(parts, fmt.Sprintf("%.1f s", s))
	}
	return strings.Join(parts, "  ")
}

// metricTexts names and formats metrics, in the order of their names.
func metricTexts(prefix string, metrics map[string]float64) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		out = append(out, prefix+name+" "+number(metrics[name]))
	}
	return out
}

// barOf draws a bar of the given width in columns, brackets included.
func barOf(share float64, width int) string {
	inner := max(width-2, 1)
	full := int(share * float64(inner))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", inner-full) + "]"
}

// clip shortens text to at most width columns.
func clip(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:max(width, 0)])
	}
	return text
}
