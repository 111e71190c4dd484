package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-ml/lockstep/internal/philox"
)

// call is a right call of an operation.
type call struct {
	args []any
	free string // numbers of slices that make the shape: they may be shorter
}

func f32(n int) []float32 { return make([]float32, n) }
func i32(n int) []int32   { return make([]int32, n) }
func u16(n int) []uint16  { return make([]uint16, n) }

// calls has a right call of every operation, anew at each call.
func calls(e *Engine) map[string]call {
	conv := Conv{N: 2, InC: 2, H: 4, W: 5, OutC: 3, KH: 3, KW: 3, PadH: 1, PadW: 1}
	pool := Pool{N: 2, C: 2, H: 4, W: 6, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	rows, exact, fast := []int{0, 1, 2}, &Grad{Int: i32(54), Max: f32(2)}, &Grad{Float: f32(54)}
	norm := ChannelNorm{Channels: Channels{2, 3, 4}, Weight: f32(3), Bias: f32(3), Mean: f32(3), Variance: f32(3), X: f32(24), Plus: f32(24), Act: ActReLU}
	product := Gemm{M: 2, N: 3, K: 4, Bias: f32(3)}
	packed := &Packed{}
	e.Pack(packed, f32(12), product)
	row := func(n int) Strided { return Strided{X: f32(2*n + 1), Step: n + 1} }
	stream := philox.Stream{}
	return map[string]call{
		"Gemm":                     {args: []any{f32(6), f32(8), f32(12), product}},
		"GemmBatch":                {args: []any{f32(12), f32(16), f32(24), product, 2, 6, 8, 12}},
		"Pack":                     {args: []any{&Packed{}, f32(12), Gemm{N: 3, K: 4}}},
		"GemmPacked":               {args: []any{f32(6), f32(8), packed, product}},
		"GemmLanes":                {args: []any{exact, f32(12), f32(18), 6, 9, rows}},
		"ColSumLanes":              {args: []any{fast, f32(108), 54, rows}},
		"ColDotLanes":              {args: []any{exact, f32(108), f32(108), 54, rows}},
		"PlaneDots":                {args: []any{f32(6), f32(6), f32(24), f32(24), f32(3), 4, 2}, free: "0"},
		"AddLane":                  {args: []any{exact, 1, f32(54)}, free: "2"},
		"ScatterAddLanes":          {args: []any{exact, f32(12), i32(2), 6, 54, rows}},
		"ConvForward":              {args: []any{f32(120), f32(80), f32(54), f32(3), conv, ActReLU}},
		"ConvBackwardInput":        {args: []any{f32(80), f32(120), f32(54), conv}},
		"ConvBackwardWeightLanes":  {args: []any{exact, f32(80), f32(120), conv, rows}},
		"ConvBiasLanes":            {args: []any{&Grad{Float: f32(3)}, f32(120), conv, rows}},
		"MaxPoolForward":           {args: []any{f32(24), i32(24), f32(96), pool}},
		"MaxPoolBackward":          {args: []any{f32(96), f32(24), i32(24), pool}},
		"AvgPoolForward":           {args: []any{f32(24), f32(96), pool}},
		"AvgPoolBackward":          {args: []any{f32(96), f32(24), pool}},
		"ChannelAffine":            {args: []any{f32(24), f32(24), f32(3), f32(3), norm.Channels}},
		"ChannelNormForward":       {args: []any{f32(24), norm}},
		"ChannelNormBackward":      {args: []any{f32(24), f32(3), f32(3), f32(24), f32(24), norm}},
		"RowNorm":                  {args: []any{f32(6), f32(6), f32(2), f32(6), f32(3), f32(3), 2, 3, float32(1e-5)}},
		"RowNormBackward":          {args: []any{f32(6), f32(6), f32(6), f32(2), f32(3), 2, 3, true}},
		"RowSoftmax":               {args: []any{f32(6), f32(6), 2, 3}},
		"RowSoftmaxBackward":       {args: []any{f32(6), f32(6), f32(6), 2, 3}},
		"RowSoftmaxCausal":         {args: []any{f32(18), f32(18), 2, 3}},
		"RowSoftmaxCausalBackward": {args: []any{f32(18), f32(18), f32(18), 2, 3}},
		"RowLogSumExp":             {args: []any{f32(2), f32(6), 2, 3}},
		"SoftmaxCrossEntropy":      {args: []any{f32(6), f32(2), f32(6), i32(2), 2, 3}},
		"RowSums":                  {args: []any{f32(2), f32(6), 2, 3}},
		"ArgMaxRows":               {args: []any{i32(2), f32(6), 2, 3}},
		"AddRows":                  {args: []any{f32(6), f32(3), 2, 3}},
		"Transpose":                {args: []any{f32(6), f32(6), 2, 3}},
		"Gather":                   {args: []any{f32(6), f32(9), i32(2), 3}, free: "12"},
		"LSTMForward":              {args: []any{2, 3, row(3), row(3), row(3), row(12), row(3)}},
		"LSTMBackward":             {args: []any{2, 3, row(12), row(3), row(3), row(3), row(3)}},
		"GRUForward":               {args: []any{2, 3, row(3), row(9), row(9), row(3)}},
		"GRUBackward":              {args: []any{2, 3, row(9), row(9), row(3), row(3)}},
		"AddStrided":               {args: []any{row(3), row(3), 2, 3}},
		"Add":                      {args: []any{f32(5), f32(5), f32(5)}, free: "0"},
		"Sub":                      {args: []any{f32(5), f32(5), f32(5)}, free: "0"},
		"Mul":                      {args: []any{f32(5), f32(5), f32(5)}, free: "0"},
		"Axpy":                     {args: []any{f32(5), float32(2), f32(5)}, free: "0"},
		"ScaleStrided":             {args: []any{row(3), float32(2), 2, 3}},
		"Scale":                    {args: []any{f32(5), float32(2)}, free: "0"},
		"Fill":                     {args: []any{f32(5), float32(2)}, free: "0"},
		"ClearInt":                 {args: []any{i32(5)}, free: "0"},
		"Copy":                     {args: []any{f32(5), f32(5)}, free: "0"},
		"AddInt":                   {args: []any{i32(5), i32(5)}, free: "0"},
		"Dequantise":               {args: []any{f32(5), i32(5), float32(2)}, free: "0"},
		"Exp":                      {args: []any{f32(5), f32(5)}, free: "0"},
		"Log":                      {args: []any{f32(5), f32(5)}, free: "0"},
		"NormalCDF":                {args: []any{f32(5), f32(5)}, free: "0"},
		"ActForward":               {args: []any{f32(5), f32(5), ActGELU}, free: "0"},
		"ActForwardSlope":          {args: []any{f32(5), f32(5), ActELU, float32(2)}, free: "0"},
		"ActBackward":              {args: []any{f32(5), f32(5), f32(5), []float32(nil), ActGELU}, free: "0"},
		"ActBackwardSlope":         {args: []any{f32(5), f32(5), []float32(nil), f32(5), ActELU, float32(2)}, free: "0"},
		"Sum":                      {args: []any{f32(5)}, free: "0"},
		"SumSquares":               {args: []any{f32(5)}, free: "0"},
		"Dot":                      {args: []any{f32(5), f32(5)}, free: "0"},
		"MaxAbs":                   {args: []any{f32(5)}, free: "0"},
		"ToBF16":                   {args: []any{u16(5), f32(5)}, free: "0"},
		"ToFP16":                   {args: []any{u16(5), f32(5)}, free: "0"},
		"FromBF16":                 {args: []any{f32(5), u16(5)}, free: "0"},
		"FromFP16":                 {args: []any{f32(5), u16(5)}, free: "0"},
		"DropoutMask":              {args: []any{f32(5), float32(0.5), stream, uint64(1)}, free: "0"},
		"Uniform":                  {args: []any{f32(5), float32(0), float32(1), stream, uint64(1)}, free: "0"},
		"Normal":                   {args: []any{f32(5), float32(0), float32(1), stream, uint64(2)}, free: "0"},
		"SGD":                      {args: []any{f32(5), f32(5), f32(5), SGDStep{Momentum: 0.5}}, free: "0"},
		"Adam":                     {args: []any{f32(5), f32(5), f32(5), f32(5), AdamStep{}}, free: "0"},
	}
}

// do calls an operation and returns its panic as text.
func (c call) do(e *Engine, name string) (message string) {
	defer func() {
		if r := recover(); r != nil {
			message = fmt.Sprint(r)
		}
	}()
	var in []reflect.Value
	for _, a := range c.args {
		in = append(in, reflect.ValueOf(a))
	}
	reflect.ValueOf(e).MethodByName(name).Call(in)
	return ""
}

// vectors are the slices of all arguments, those inside structures included.
func (c call) vectors() (all []reflect.Value) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			walk(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() != reflect.Int && !v.IsNil() {
				all = append(all, v)
			}
		}
	}
	for i, a := range c.args { // copies that can be set
		v := reflect.New(reflect.TypeOf(a)).Elem()
		v.Set(reflect.ValueOf(a))
		walk(v)
		if v.Kind() == reflect.Slice || v.Kind() == reflect.Struct {
			c.args[i] = v // replaced when called
		}
	}
	return all
}

// TestArgumentsAreChecked makes every slice of a right call too short, in turn,
// and lays every two of them over each other. Then the operation must panic with
// its name, and have changed nothing.
func TestArgumentsAreChecked(t *testing.T) {
	for _, e := range engines(t, 2) {
		for name := range calls(e) {
			right := calls(e)[name]
			if m := right.do(e, name); m != "" {
				t.Fatalf("%s does not take what it should: %s", name, m)
			}
			for i := range right.vectors() {
				c := calls(e)[name]
				v := c.vectors()[i]
				v.Set(v.Slice3(0, v.Len()-1, v.Len()-1))
				if m := c.result().do(e, name); m != "" || !strings.Contains(c.free, fmt.Sprint(i)) {
					mustName(t, name, fmt.Sprintf("slice %d is too short", i), m)
				}
			}
			for i := range right.vectors() {
				for j := range i {
					overlapped(t, e, name, i, j)
				}
			}
		}
		engine := reflect.TypeOf(e)
		for i := range engine.NumMethod() {
			name := engine.Method(i).Name
			if _, ok := calls(e)[name]; !ok && !slices.Contains(notSwept, name) {
				t.Errorf("arguments of %s are not checked", name)
			}
		}
	}
}

// result is the call with the slices that vectors gave out.
func (c call) result() call {
	for i, a := range c.args {
		if v, ok := a.(reflect.Value); ok {
			c.args[i] = v.Interface()
		}
	}
	return c
}

// mustName fails unless a panic is that of an operation about its arguments.
func mustName(t *testing.T, name, what, message string) {
	t.Helper()
	name = strings.TrimSuffix(name, "Slope")
	if !strings.HasPrefix(message, "tensor: "+name+": ") {
		t.Errorf("%s: %s: %q", name, what, message)
	}
}

// overlapped calls an operation with two slices that share all but one element.
// It must panic, or both are inputs.
func overlapped(t *testing.T, e *Engine, name string, i, j int) {
	c := calls(e)[name]
	v := c.vectors()
	a, b := v[i], v[j]
	if a.Type() != reflect.TypeFor[[]float32]() || b.Type() != a.Type() || isStrided(name) {
		return
	}
	both := f32(max(a.Len(), b.Len()) + 1)
	for k := range both {
		both[k] = float32(k%7) + 0.5
	}
	a.Set(reflect.ValueOf(both[:a.Len()]))
	b.Set(reflect.ValueOf(both[1:][:b.Len()]))
	before := slices.Clone(both)
	m := c.result().do(e, name)
	if m != "" {
		mustName(t, name, fmt.Sprintf("slices %d and %d overlap", i, j), m)
	}
	if !slices.Equal(both, before) {
		t.Errorf("%s: slices %d and %d overlap, and one was changed", name, i, j)
	}
}

// isStrided is whether an operation takes rows that may lie between those of
// another argument.
func isStrided(name string) bool {
	return strings.HasPrefix(name, "LSTM") || strings.HasPrefix(name, "GRU") || strings.HasSuffix(name, "Strided")
}

// sizes are what numbers of a shape are drawn from: small ones mostly.
func drawSize(r *rand.Rand) int {
	switch r.IntN(24) {
	case 0:
		return []int{-1, -7, math.MinInt, math.MaxInt, 1 << 30, math.MaxInt / 5, math.MaxInt / 8}[r.IntN(7)]
	case 1:
		return 30 + r.IntN(40)
	}
	return r.IntN(6)
}

// shaped calls an operation with a shape of these numbers and slices of these
// lengths, and checks what it may do: panic with its name, or compute without
// writing beside its result.
func shaped(t *testing.T, e *Engine, op int, n [14]int, lengths [3]int) {
	all, s := f32(1<<14), [3][]float32{}
	for i := range all {
		all[i] = guard
	}
	at, gaps := 64, [][]float32{all[:64]}
	for i, l := range lengths {
		l = min(max(l, 0), 4096)
		s[i] = all[at : at+l : at+l]
		clear(s[i])
		gaps = append(gaps, all[at+l:at+l+64])
		at += l + 64
	}
	g := Gemm{M: n[0], N: n[1], K: n[2], Lda: n[3], Ldb: n[4], Ldc: n[5], TransA: n[6]&1 > 0, TransB: n[6]&2 > 0, Accumulate: n[6]&4 > 0}
	c := Conv{N: n[0], InC: n[1], H: n[2], W: n[3], OutC: n[4], KH: n[5], KW: n[6], StrideH: n[7], StrideW: n[8], PadH: n[9], PadW: n[10],
		DilH: n[11], DilW: n[12], Groups: n[13]}
	p := Pool{N: n[0], C: n[1], H: n[2], W: n[3], KH: n[4], KW: n[5], StrideH: n[6], StrideW: n[7], PadH: n[8], PadW: n[9]}
	ops := []struct {
		name string
		args []any
	}{
		{"Gemm", []any{s[0], s[1], s[2], g}},
		{"GemmBatch", []any{s[0], s[1], s[2], g, n[7], n[8], n[9], n[10]}},
		{"GemmLanes", []any{&Grad{Float: s[0]}, s[1], s[2], n[0], n[1], n[2:5]}},
		{"ConvForward", []any{s[0], s[1], s[2], []float32(nil), c, ActNone}},
		{"ConvBackwardInput", []any{s[0], s[1], s[2], c}},
		{"ConvBackwardWeightLanes", []any{&Grad{Float: s[0]}, s[1], s[2], c, n[:1]}},
		{"AvgPoolForward", []any{s[0], s[1], p}},
		{"AvgPoolBackward", []any{s[0], s[1], p}},
	}
	o := ops[uint(op)%uint(len(ops))]
	if m := (call{args: o.args}).do(e, o.name); m != "" {
		mustName(t, o.name, fmt.Sprint(n, lengths), m)
	}
	for _, v := range slices.Concat(gaps...) {
		if v != guard {
			t.Fatalf("%s %v %v: %g is beside the arguments", o.name, n, lengths, v)
		}
	}
}

func TestShapesAreChecked(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, e := range engines(t, 2) {
		trials := 8000
		if testing.Short() {
			trials = 1000
		}
		for i := range trials {
			var n [14]int
			for k := range n {
				n[k] = drawSize(r)
			}
			shaped(t, e, i, n, [3]int{r.IntN(1500), r.IntN(1500), r.IntN(1500)})
		}
	}
}

func FuzzShapes(f *testing.F) {
	f.Add(0, []byte{2, 3, 4, 4, 3, 3, 0}, 6, 8, 12)
	f.Add(3, []byte{2, 2, 4, 5, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1}, 120, 80, 54)
	f.Add(6, []byte{2, 2, 4, 6, 2, 2, 2, 2}, 24, 96, 0)
	e := engines(f, 1)
	f.Fuzz(func(t *testing.T, op int, shape []byte, a, b, c int) {
		var n [14]int
		for i := range min(len(shape), len(n)) {
			if n[i] = int(shape[i]); n[i] >= 200 { // negative and huge numbers
				n[i] = drawSize(rand.New(rand.NewPCG(uint64(n[i]), uint64(i))))
			}
		}
		for _, e := range e {
			shaped(t, e, op, n, [3]int{a, b, c})
		}
	})
}
