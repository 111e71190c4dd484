package cli

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/lockstep-ml/lockstep/proto/lockstep/v1"
)

func runningJob() *pb.Job {
	return &pb.Job{
		Id: "digits-1", Name: "digits", State: pb.JobState_JOB_STATE_RUNNING, Epochs: 10, StepsPerEpoch: 20, Records: 1000, Generation: 1,
		Members: []*pb.Member{{WorkerId: "w1", Lanes: []int32{0, 1}}, {WorkerId: "w2", Lanes: []int32{2}}},
	}
}

func pointAt(step int64, loss float64) *pb.StepPoint {
	return &pb.StepPoint{
		GlobalStep: step, Cursor: &pb.Cursor{Epoch: int32(step / 20), Step: step % 20}, Loss: loss,
		Metrics: map[string]float64{"accuracy": 0.5}, RecordsPerSecond: 12345.6,
	}
}

// scene plays a job's life to a progress of the given width.
func scene(width int) string {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	p := &progress{out: &out, width: func() int { return width }, now: func() time.Time { return now }}
	loss := 0.2
	j := runningJob()
	queued := runningJob()
	queued.State, queued.Reason, queued.Generation = pb.JobState_JOB_STATE_QUEUED, "waiting: 1 of 2 workers alive", 0
	p.update(queued, nil)
	p.update(j, nil)
	now = now.Add(6 * time.Second)
	p.update(j, []*pb.StepPoint{pointAt(9, 2), pointAt(10, 1.5)})
	now = now.Add(20 * time.Millisecond)
	p.update(j, []*pb.StepPoint{pointAt(11, 1.4)}) // too soon to draw
	now = now.Add(10 * time.Second)
	j.History = []*pb.EpochResult{{
		TrainLoss: 1.2, TrainMetrics: map[string]float64{"accuracy": 0.61}, TestLoss: &loss, TestMetrics: map[string]float64{"accuracy": 0.9}, Seconds: 1.25,
	}}
	p.update(j, []*pb.StepPoint{pointAt(30, 0.00012)})
	now = now.Add(10 * time.Second)
	p.update(j, []*pb.StepPoint{pointAt(50, math.NaN())})
	j.Generation, j.Members = 2, j.Members[:1]
	p.update(j, nil)
	j.State, j.Reason = pb.JobState_JOB_STATE_SUCCEEDED, "succeeded"
	p.update(j, nil)
	p.close()
	return out.String()
}

func TestPlainLines(t *testing.T) {
	want := `digits-1  queued  waiting: 1 of 2 workers alive
digits-1  running  generation 1: w1 (2 lanes), w2 (1 lane)
epoch 1/10    5%  loss 1.5000  accuracy 0.5000  12,345 records/s
epoch  1/10  loss 1.2000  accuracy 0.6100  test: loss 0.2000  accuracy 0.9000  1.2 s
epoch 3/10   25%  loss NaN  accuracy 0.5000  12,345 records/s  ETA 1m15s
digits-1  running  generation 2: w1 (2 lanes)
digits-1  succeeded
`
	if diff := cmp.Diff(want, scene(0)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBarIsRedrawnInPlace(t *testing.T) {
	got := scene(60)
	for _, line := range strings.Split(strings.ReplaceAll(got, "\x1b[K", ""), "\n") {
		for _, bar := range strings.Split(line, "\r") {
			if len(bar) >= 60 && strings.HasPrefix(bar, "[") {
				t.Errorf("a bar of %d columns wraps on a terminal of 60: %q", len(bar), bar)
			}
		}
	}
	if !strings.Contains(got, "\r[###.........]   25%  loss NaN  12,345 records/s  ETA 1m15s\x1b[K") {
		t.Errorf("no bar in %q", got)
	}
	if !strings.HasSuffix(got, "\r\x1b[Kdigits-1  succeeded\n") && !strings.HasSuffix(got, "\ndigits-1  succeeded\n") {
		t.Errorf("the bar is not cleared before the last line: %q", got)
	}
}

// On a terminal of 80 columns nothing wraps, and there is room for all that a
// user looks for.
func TestEightyColumns(t *testing.T) {
	got := scene(80)
	for _, want := range []string{
		"\r[###............]   25%  loss NaN  accuracy 0.5000  12,345 records/s  ETA 1m15s\x1b[K",
		"\repoch  1/10  loss 1.2000  accuracy 0.6100  test: loss 0.2000  accuracy 0.9000\n",
	} {
		if !strings.Contains(strings.ReplaceAll(got, "\r\x1b[K", "\r"), want) {
			t.Errorf("no %q in\n%q", want, got)
		}
	}
	for _, line := range strings.FieldsFunc(strings.ReplaceAll(got, "\x1b[K", ""), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if len(line) >= 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

func TestFormats(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0000", 0.12345: "0.1235", 0.00012345: "1.234e-04", 12.3456: "12.35", 51234.5: "51234", 1e7: "1.000e+07", math.Inf(1): "+Inf",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("thousands(%d) = %q, want %q", v, got, want)
		}
	}
	if got := barOf(0.5, 12); got != "[#####.....]" {
		t.Errorf("bar %q", got)
	}
	for text, want := range map[string]int64{"64MiB": 64 << 20, "1KB": 1000, "12": 12, "3 GiB": 3 << 30, "7B": 7} {
		var b byteSize
		if err := b.Set(text); err != nil || int64(b) != want {
			t.Errorf("size %q = %d, %v; want %d", text, b, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "64XB", "99999999999GiB"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("size %q was accepted as %d", text, b)
		}
	}
}

func TestRecordForPeople(t *testing.T) {
	got, err := fieldsOf(struct {
		Bench string  `json:"bench"`
		GBps  float64 `json:"gbps"`
		Bytes int     `json:"bytes"`
	}{"allreduce", 1.23456, 64})
	if diff := cmp.Diff([]string{"bench=allreduce", "gbps=1.2346", "bytes=64"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}
