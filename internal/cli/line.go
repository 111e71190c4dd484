package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

// part is a piece of a line. Where the line is too long for the terminal, the
// parts that matter least are left out; those of weight 0 always stay.
type part struct {
	text   string
	weight int // the higher, the sooner it goes
}

// always makes parts that stay.
func always(texts ...string) []part { return weighing(0, texts...) }

// weighing makes parts of one weight; the last of them goes first.
func weighing(weight int, texts ...string) []part {
	parts := make([]part, len(texts))
	for i, t := range texts {
		parts[i] = part{t, weight}
	}
	return parts
}

const gap = "  " // between parts

// fit joins parts to a line of at most width columns, if leaving out can do it; a
// width of 0 has room for all.
func fit(width int, parts []part) string {
	parts = slices.Clone(parts)
	for {
		texts := make([]string, len(parts))
		least := -1
		for i, p := range parts {
			texts[i] = p.text
			if p.weight > 0 && (least < 0 || p.weight >= parts[least].weight) {
				least = i
			}
		}
		line := strings.Join(texts, gap)
		if width <= 0 || least < 0 || utf8.RuneCountInString(line) <= width {
			return line
		}
		parts = slices.Delete(parts, least, least+1)
	}
}

// epochLine is what an epoch measured, in width columns (0: any).
func epochLine(e *pb.EpochResult, epochs int32, width int) string {
	digits := len(fmt.Sprint(epochs))
	parts := always(fmt.Sprintf("epoch %*d/%d", digits, e.GetEpoch()+1, epochs), "loss "+number(e.GetTrainLoss()))
	parts = append(parts, weighing(1, metricTexts("", e.GetTrainMetrics())...)...)
	if e.TestLoss != nil {
		parts = append(parts, always("test: loss "+number(e.GetTestLoss()))...)
		parts = append(parts, always(metricTexts("", e.GetTestMetrics())...)...)
	}
	if e.GetKept() {
		parts = append(parts, always("best")...)
	}
	if s := e.GetSeconds(); s > 0 { // nobody timed an epoch that changed hands
		parts = append(parts, part{fmt.Sprintf("%.1f s", s), 2})
	}
	return fit(width, parts)
}

// The least and the most columns of a bar.
const (
	barLeast = 12
	barMost  = 40
)

// status is one line: share done, loss, metrics, speed, time left. On a terminal,
// whose width is not 0, a bar takes the room that is left.
func (p *progress) status(j *pb.Job, now time.Time, width int) string {
	total := totalSteps(p.reader, j)
	step := p.point.GetGlobalStep()
	share := 0.0
	parts := weighing(2, fmt.Sprintf("epoch %d/%d", min(p.point.GetCursor().GetEpoch()+1, j.GetEpochs()), j.GetEpochs()))
	if total > 0 {
		share = min(float64(step)/float64(total), 1)
		parts = append(parts, always(fmt.Sprintf("%3.0f%%", 100*share))...)
	}
	parts = append(parts, always("loss "+number(p.point.GetLoss()))...)
	parts = append(parts, weighing(1, metricTexts("", p.point.GetMetrics())...)...)
	parts = append(parts, always(thousands(int64(p.point.GetRecordsPerSecond()))+" records/s")...)
	if done := step - p.first.step; done > 0 && total > step {
		left := time.Duration(float64(now.Sub(p.first.at)) / float64(done) * float64(total-step))
		parts = append(parts, always("ETA "+left.Round(time.Second).String())...)
	}
	if width == 0 || total == 0 {
		return fit(width, parts)
	}
	line := fit(width-barLeast-len(gap), parts)
	room := width - utf8.RuneCountInString(line) - len(gap)
	if room < barLeast {
		return line
	}
	return barOf(share, min(room, barMost)) + gap + line
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
