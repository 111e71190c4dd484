package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/tensor"
)

// GemmOptions set what Gemm measures.
type GemmOptions struct {
	// Threads are the numbers of threads to measure with; {1, 2} if empty. More
	// than one is measured for products of at least 1024 x 1024 only.
	Threads []int
	// ISA is the instruction set; "" means the best.
	ISA string
	// Runs is the number of measured runs, each of at least RunTime; 0 means 21.
	Runs int
	// RunTime is the least length of a run; 0 means 5 ms.
	RunTime time.Duration
}

// GemmResult is the record that Gemm emits for a product.
type GemmResult struct {
	Bench   string `json:"bench"` // "gemm"
	Op      string `json:"op"`    // gemm; lanes: exact weight gradient of 8 lanes; conv, conv_input, conv_weight
	M       int    `json:"m"`     // rows of the result
	N       int    `json:"n"`     // columns
	K       int    `json:"k"`     // products in a sum
	Trans   string `json:"trans"` // NN, NT, TN: which operand is stored transposed
	Threads int    `json:"threads"`
	ISA     string `json:"isa"`
	// GFlops and PeakGFlops are medians over the runs, in 1e9 operations a
	// second; the peak is one core's, on multiply-adds in registers.
	GFlops     float64 `json:"gflops"`
	PeakGFlops float64 `json:"peak_gflops"`
	// Ratio is the median of the ratios of a run to the peak measured before it.
	Ratio float64 `json:"ratio"`
	Runs  int     `json:"runs"`
}

// Validate reports all that is wrong.
func (o GemmOptions) Validate() error {
	var errs []error
	for _, t := range o.Threads {
		if t < 1 || t > 1024 {
			errs = append(errs, fmt.Errorf("threads %d: must be 1 to 1024", t))
		}
	}
	if o.Runs < 0 || o.Runs > 10_000 {
		errs = append(errs, fmt.Errorf("runs %d: must be 1 to 10000", o.Runs))
	}
	return errors.Join(errs...)
}

// product is one thing to measure.
type product struct {
	op      string
	m, n, k int
	trans   string
	conv    *tensor.Conv // of a convolution
	flops   float64
	run     func()
}

// gemmShapes are the square products, those of the layers of known networks, and
// skinny ones.
func gemmShapes() []tensor.Gemm {
	var shapes []tensor.Gemm
	for _, n := range []int{256, 512, 1024, 2048} {
		shapes = append(shapes, tensor.Gemm{M: n, N: n, K: n})
	}
	shapes = append(shapes,
		tensor.Gemm{M: 512, N: 512, K: 512, TransB: true}, tensor.Gemm{M: 512, N: 512, K: 512, TransA: true},
		tensor.Gemm{M: 32, N: 512, K: 784, TransB: true}, tensor.Gemm{M: 128, N: 512, K: 784, TransB: true},
		tensor.Gemm{M: 64, N: 10, K: 512, TransB: true},
		tensor.Gemm{M: 128, N: 784, K: 512}, tensor.Gemm{M: 512, N: 784, K: 128, TransA: true},
		tensor.Gemm{M: 64, N: 512, K: 10}, tensor.Gemm{M: 8, N: 10, K: 512})
	for _, rows := range []int{1, 2, 4, 16, 64} {
		shapes = append(shapes, tensor.Gemm{M: rows, N: 512, K: 784}, tensor.Gemm{M: rows, N: 512, K: 784, TransB: true})
	}
	for _, s := range [][2]int{{16, 512}, {64, 512}, {32, 64}} {
		shapes = append(shapes, tensor.Gemm{M: s[0], N: s[1], K: 10, TransB: true})
	}
	return shapes
}

// convShapes are 3 x 3 convolutions with padding 1 of 64 images.
func convShapes() []tensor.Conv {
	var shapes []tensor.Conv
	for _, s := range [][3]int{{1, 32, 28}, {32, 64, 14}, {64, 64, 32}, {16, 16, 32}} {
		shapes = append(shapes, tensor.Conv{N: 64, InC: s[0], OutC: s[1], H: s[2], W: s[2], KH: 3, KW: 3, PadH: 1, PadW: 1})
	}
	return shapes
}

// Gemm measures matrix products and convolutions in turns with the peak of a
// core, and emits a GemmResult for each.
func Gemm(ctx context.Context, o GemmOptions, emit func(any)) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("bench gemm: %w", err)
	}
	if len(o.Threads) == 0 {
		o.Threads = []int{1, 2}
	}
	if o.Runs == 0 {
		o.Runs = 21
	}
	if o.RunTime == 0 {
		o.RunTime = 5 * time.Millisecond
	}
	for _, threads := range o.Threads {
		if err := gemmThreads(ctx, o, threads, emit); err != nil {
			return fmt.Errorf("bench gemm: %w", err)
		}
	}
	return nil
}

func gemmThreads(ctx context.Context, o GemmOptions, threads int, emit func(any)) error {
	eng, err := tensor.New(tensor.Config{ISA: o.ISA, Threads: threads})
	if err != nil {
		return err
	}
	defer eng.Close()
	for _, p := range products(eng) {
		if threads > 1 && (p.op != "gemm" || min(p.m, p.n, p.k) < 1024) {
			continue
		}
		r := GemmResult{Bench: "gemm", Op: p.op, M: p.m, N: p.n, K: p.k, Trans: p.trans, Threads: threads, ISA: eng.ISA(), Runs: o.Runs}
		if err := r.measure(ctx, eng, p, o); err != nil {
			return err
		}
		emit(r)
	}
	return nil
}

func (r *GemmResult) measure(ctx context.Context, eng *tensor.Engine, p product, o GemmOptions) error {
	var rates, peaks, ratios []float64
	p.run()
	for range o.Runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		peak := rate(o.RunTime/2, func() float64 { return eng.Spin(2000) })
		got := rate(o.RunTime, func() float64 { p.run(); return p.flops })
		rates, peaks, ratios = append(rates, got), append(peaks, peak), append(ratios, got/peak)
	}
	r.GFlops, r.PeakGFlops, r.Ratio = median(rates), median(peaks), median(ratios)
	return nil
}

// rate runs f for at least so long and returns its operations in 1e9 a second.
func rate(least time.Duration, f func() (flops float64)) float64 {
	start, flops := time.Now(), 0.0
	for {
		flops += f()
		if d := time.Since(start); d >= least {
			return flops / float64(d.Nanoseconds())
		}
	}
}

// products lists all that is measured, on operands of small numbers.
func products(eng *tensor.Engine) []product {
	var all []product
	mem := new(tensor.Arena) // as networks have it
	for _, g := range gemmShapes() {
		a, b, c := numbers(mem, g.M*g.K), numbers(mem, g.K*g.N), mem.Float32(g.M*g.N)
		trans := map[bool]string{false: "N", true: "T"}
		all = append(all, product{op: "gemm", m: g.M, n: g.N, k: g.K, trans: trans[g.TransA] + trans[g.TransB],
			flops: 2 * float64(g.M) * float64(g.N) * float64(g.K), run: func() { eng.Gemm(c, a, b, g) }})
	}
	const lanes, rows = 8, 128
	for _, s := range [][2]int{{512, 784}, {512, 512}, {10, 512}} {
		m, n := s[0], s[1]
		a, b, each := numbers(mem, rows*m), numbers(mem, rows*n), evenly(rows, lanes)
		g := &tensor.Grad{Int: mem.Int32(m * n), Max: make([]float32, lanes), Scale: 1}
		all = append(all, product{op: "lanes", m: m, n: n, k: rows, trans: "TN",
			flops: 2 * rows * float64(m) * float64(n), run: func() { eng.GemmLanes(g, a, b, m, n, each) }})
	}
	for _, c := range convShapes() {
		all = append(all, convProducts(eng, mem, c)...)
	}
	return all
}

func convProducts(eng *tensor.Engine, mem *tensor.Arena, c tensor.Conv) []product {
	plane := c.OutH() * c.OutW()
	x, y, w := numbers(mem, c.N*c.InC*c.H*c.W), numbers(mem, c.N*c.OutC*plane), numbers(mem, c.OutC*c.InC*c.KH*c.KW)
	dx, dy := mem.Float32(len(x)), mem.Float32(len(y))
	depth := c.InC * c.KH * c.KW
	flops := 2 * float64(len(y)) * float64(depth)
	g := &tensor.Grad{Int: mem.Int32(len(w)), Max: make([]float32, 8), Scale: 1}
	rows := evenly(c.N, 8)
	return []product{
		{op: "conv", conv: &c, m: c.OutC, n: c.N * plane, k: depth, flops: flops, run: func() { eng.ConvForward(dy, x, w, nil, c, tensor.ActNone) }},
		{op: "conv_input", conv: &c, m: c.InC, n: c.N * plane, k: c.OutC * c.KH * c.KW, flops: flops, run: func() { eng.ConvBackwardInput(dx, y, w, c) }},
		{op: "conv_weight", conv: &c, m: c.OutC, n: depth, k: c.N * plane, flops: flops, run: func() { eng.ConvBackwardWeightLanes(g, x, y, c, rows) }},
	}
}

// evenly cuts n rows into lanes.
func evenly(n, lanes int) []int {
	rows := make([]int, lanes+1)
	for i := range rows {
		rows[i] = n * i / lanes
	}
	return rows
}

// numbers are n numbers between -1 and 1.
func numbers(mem *tensor.Arena, n int) []float32 {
	x := mem.Float32(n)
	for i := range x {
		x[i] = float32(i*7919%2001-1000) / 1000
	}
	return x
}
