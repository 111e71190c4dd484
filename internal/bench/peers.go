package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// PeerOptions set what Peers measures.
type PeerOptions struct {
	// Command starts the program of bench/peers/cpp/peer.cpp.
	Command func(ctx context.Context) *exec.Cmd
	// ISA is the instruction set; "" means the best.
	ISA string
	// Runs is the number of measured runs of each; 0 means 31.
	Runs int
	// RunTime is the least length of a run; 0 means 6 ms. Many short runs tell more
	// than few long ones: other guests of a host slow it down for milliseconds. Each
	// comes after one of twice the length that is not measured, for a process that has
	// waited is slow at first: Go's monitor then looks about every 20 us, on the same
	// core if there is one only, and takes a fifth of it for some milliseconds.
	RunTime time.Duration
}

// PeerResult compares one product with another library on one thread.
type PeerResult struct {
	Bench string `json:"bench"` // "peers"
	Op    string `json:"op"`    // see GemmResult
	Shape string `json:"shape"`
	ISA   string `json:"isa"`
	Peer  string `json:"peer"` // openblas or onednn
	// GFlops and PeerGFlops are medians over the runs, in 1e9 operations a second.
	GFlops     float64 `json:"gflops"`
	PeerGFlops float64 `json:"peer_gflops"`
	// Ratio is the median of the ratios of a run to the peer's run after it.
	Ratio float64 `json:"ratio"`
	Runs  int     `json:"runs"`
}

// Peers measures matrix products and convolutions in turns with OpenBLAS and
// oneDNN, on one thread, and emits a PeerResult for each.
func Peers(ctx context.Context, o PeerOptions, emit func(any)) (err error) {
	if o.Runs == 0 {
		o.Runs = 31
	}
	if o.RunTime == 0 {
		o.RunTime = 6 * time.Millisecond
	}
	eng, err := tensor.New(tensor.Config{ISA: o.ISA, Threads: 1})
	if err != nil {
		return fmt.Errorf("bench peers: %w", err)
	}
	defer eng.Close()
	p, err := startPeer(o.Command(ctx))
	if err != nil {
		return fmt.Errorf("bench peers: %w", err)
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	for _, m := range products(eng) {
		for _, peer := range []string{"onednn", "openblas"} {
			task := m.task(peer)
			if task == "" {
				continue
			}
			if err := p.expect(task, "ok"); err != nil {
				return fmt.Errorf("bench peers: %s: %w", task, err)
			}
			r := PeerResult{Bench: "peers", Op: m.op, Shape: m.shape(), ISA: eng.ISA(), Peer: peer, Runs: o.Runs}
			if err := r.measure(ctx, p, m, o); err != nil {
				return fmt.Errorf("bench peers: %s: %w", task, err)
			}
			emit(r)
		}
	}
	return nil
}

func (r *PeerResult) measure(ctx context.Context, p *peer, m product, o PeerOptions) error {
	var ours, theirs, ratios []float64
	m.run()
	for range o.Runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		run := func() float64 { m.run(); return m.flops }
		rate(2*o.RunTime, run)
		got := rate(o.RunTime, run)
		other, err := p.run(o.RunTime)
		if err != nil {
			return err
		}
		other /= 1e9
		ours, theirs, ratios = append(ours, got), append(theirs, other), append(ratios, got/other)
	}
	r.GFlops, r.PeerGFlops, r.Ratio = median(ours), median(theirs), median(ratios)
	return nil
}

// shape names a product in a table.
func (m product) shape() string {
	if c := m.conv; c != nil {
		return fmt.Sprintf("%d x %d->%d at %dx%d", c.N, c.InC, c.OutC, c.H, c.W)
	}
	return fmt.Sprintf("%d x %d x %d %s", m.m, m.n, m.k, m.trans)
}

// task is what the peer is asked to prepare, "" if it has nothing like it.
func (m product) task(peer string) string {
	flag := map[byte]int{'N': 0, 'T': 1}
	kind := map[string]string{"conv": "forward", "conv_input": "input", "conv_weight": "weight"}[m.op]
	switch {
	case m.op == "gemm" || m.op == "lanes":
		return fmt.Sprintf("gemm %s %d %d %d %d %d", peer, m.m, m.n, m.k, flag[m.trans[0]], flag[m.trans[1]])
	case kind != "" && peer == "onednn":
		return fmt.Sprintf("conv onednn %s %d %d %d %d %d", kind, m.conv.N, m.conv.InC, m.conv.OutC, m.conv.H, m.conv.W)
	}
	return ""
}

// peer is the other program; it answers every line with one line.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPeer(cmd *exec.Cmd) (*peer, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &peer{cmd: cmd, in: in, out: bufio.NewScanner(out)}, nil
}

func (p *peer) stop() error {
	p.in.Close()
	return p.cmd.Wait()
}

func (p *peer) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return "", err
	}
	if !p.out.Scan() {
		return "", errors.Join(errors.New("the other program ended"), p.out.Err())
	}
	return strings.TrimSpace(p.out.Text()), nil
}

// expect asks for something that has one right answer.
func (p *peer) expect(line, answer string) error {
	got, err := p.ask(line)
	if err == nil && got != answer {
		err = fmt.Errorf("the other program answered %q to %q; expected %q", got, line, answer)
	}
	return err
}

// run returns how much the other program did a second, at least for so long.
func (p *peer) run(d time.Duration) (float64, error) {
	answer, err := p.ask(fmt.Sprintf("run %g", d.Seconds()))
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(answer, 64)
}
