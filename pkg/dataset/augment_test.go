package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// imageSet is a set of n images of the given size with labels; Input says so.
func imageSet(tb testing.TB, n int64, dims ...int) *Set {
	set := memorySet(tb, n, product(dims))
	set.m.Input = shard.Input{Shape: dims, Target: shard.Target{Kind: shard.Class, Classes: 10}}
	set.m.Fit.Columns = nil
	for c := range dims[0] {
		set.m.Fit.Columns = append(set.m.Fit.Columns, shard.Column{Name: channelName(c, dims[0]), Type: "number", Shift: 40 + float64(c), Scale: 60})
	}
	for i := range set.t.planes[1].mem {
		set.t.planes[1].mem[i] = byte(i % 10)
	}
	set.checked.left.Store(0) // the checksums are of other labels
	return set
}

func augmentNode(kind string, fields ...any) nn.Node {
	n := nn.Node{Kind: kind, Path: "augment", Fields: map[string]any{}}
	for i := 0; i < len(fields); i += 2 {
		n.Fields[fields[i].(string)] = fields[i+1]
	}
	return n
}

// every has each augmentation once, with each way to fill.
func every() []nn.Node {
	return []nn.Node{
		augmentNode("crop", "padding", 2), augmentNode("crop", "padding", 1, "fill", "reflect"), augmentNode("flip"), augmentNode("flip", "axis", "vertical"),
		augmentNode("rotation", "degrees", 20, "fill", "edge"), augmentNode("resize_crop"), augmentNode("colour", "brightness", 0.3, "contrast", 0.3, "saturation", 0.5),
		augmentNode("erase"), augmentNode("noise", "deviation", 0.1), augmentNode("mixup", "alpha", 0.7),
	}
}

func augmented(tb testing.TB, set *Set, nodes ...nn.Node) *Set {
	tb.Helper()
	if err := set.Augment(nodes, 7); err != nil {
		tb.Fatal(err)
	}
	return set
}

// batchOf returns one step of some lanes.
func batchOf(tb testing.TB, set *Set, d *shard.Dealer, epoch, step int, lanes ...int) nn.Batch {
	tb.Helper()
	l := set.Loader(tb.Context(), d, lanes, epoch, step, 1)
	defer l.Close()
	b, err := l.Next(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	c := copyOf(b)
	c.Shares, c.Others = slices.Clone(b.Shares), slices.Clone(b.Others)
	return c
}

// What a lane gets depends on seed, epoch, step and lane alone: not on which
// other lanes are loaded, nor on where loading began. Epochs differ.
func TestAugmentIsPure(t *testing.T) {
	set := augmented(t, imageSet(t, 300, 3, 8, 6), every()...)
	d := dealer(t, set.m, 5, 33)
	size := 3 * 8 * 6
	whole := batchOf(t, set, d, 2, 3, 0, 1, 2, 3, 4)
	for lane := range 5 {
		one := batchOf(t, set, d, 2, 3, lane)
		from, to := whole.Rows[lane], whole.Rows[lane+1]
		if !slices.Equal(whole.X[from*size:to*size], one.X) || !slices.Equal(whole.Shares[from:to], one.Shares) || !slices.Equal(whole.Others[from:to], one.Others) {
			t.Errorf("lane %d differs when it is loaded alone", lane)
		}
	}
	l := set.Loader(t.Context(), d, []int{0, 1, 2, 3, 4}, 2, 0, 2)
	defer l.Close()
	for range 4 {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b.Step == 3 && !slices.Equal(b.X, whole.X) {
			t.Error("step 3 differs when loading begins at step 0")
		}
	}
	// The same records at another place are varied in another way.
	same := augmented(t, imageSet(t, 300, 1, 4, 4), augmentNode("noise", "deviation", 1))
	for i := range same.t.planes[0].mem {
		same.t.planes[0].mem[i] = 9
	}
	seen := map[float32]bool{}
	for epoch := range 3 {
		for step := range 3 {
			b := batchOf(t, same, dealer(t, same.m, 5, 33), epoch, step, 0, 1, 2, 3, 4)
			for _, v := range b.X {
				seen[v] = true
			}
		}
	}
	// 9 steps of 33 records of 16 numbers with 24 bits or so: a few meet.
	if len(seen) < 9*33*16*99/100 {
		t.Errorf("only %d different numbers of %d", len(seen), 9*33*16)
	}
}

// The bits of every augmentation are those that are committed, on every machine.
func TestAugmentBits(t *testing.T) {
	want := map[string]string{
		"crop 0": "aed7d53bcd8da84a", "crop 1": "d7c2deed5ce009b8", "flip 2": "2d0e992b35cc3c10", "flip 3": "973bd0fd99b288c5",
		"rotation 4": "7f84381430c7a51a", "resize_crop 5": "51839c6a3d68b728", "colour 6": "d9288c13da7bdc09", "erase 7": "f71448e410923d56",
		"noise 8": "edbbf04d78fe54eb", "mixup 9": "b2f4408df91810a3",
	}
	for i, n := range every() {
		set := augmented(t, imageSet(t, 100, 3, 8, 6), n)
		b := batchOf(t, set, dealer(t, set.m, 2, 40), 1, 1, 0, 1)
		h := sha256.New()
		for _, x := range [][]float32{b.X, b.Shares} {
			if err := binary.Write(h, binary.LittleEndian, x); err != nil {
				t.Fatal(err)
			}
		}
		name := fmt.Sprintf("%s %d", n.Kind, i)
		if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != want[name] {
			t.Errorf("%s: %s, want %q; if other bits are meant, raise Edition in internal/build", name, got, want[name])
		}
	}
}

// A step with all augmentations allocates nothing.
func TestAugmentDoesNotAllocate(t *testing.T) {
	set := augmented(t, imageSet(t, 100, 3, 8, 6), every()...)
	b := newBatch(set.m, 40, 2)
	resize(b, set.m, 40)
	set.augment.extend(b)
	b.Lanes, b.Rows, b.Records = []int{0, 3}, []int{0, 17, 40}, make([]int64, 40)
	m := &microBatch{spare: make([]float32, 3*8*6)}
	if n := testing.AllocsPerRun(10, func() { set.augment.vary(b, m) }); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// means calls f with n steps of one lane and returns the means of what f adds.
func means(t *testing.T, set *Set, steps int, f func(b *nn.Batch, row int) []float64) []float64 {
	d := dealer(t, set.m, 1, 100)
	l := set.Loader(t.Context(), d, []int{0}, 0, 0, 2)
	defer l.Close()
	var sums []float64
	n := 0
	for range steps {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for row := range b.Len() {
			values := f(b, row)
			sums = append(sums, make([]float64, len(values)-len(sums))...)
			for i, v := range values {
				sums[i] += v
			}
			n++
		}
	}
	for i := range sums {
		sums[i] /= float64(n)
	}
	return sums
}

// With 10,000 records a mean is within 4 standard deviations of 1/100 of one
// record's, once in 16,000 times; the draws are fixed, so it holds for ever.
func TestAugmentDistribution(t *testing.T) {
	near := func(name string, got, want, deviation float64) {
		t.Helper()
		if math.Abs(got-want) > 4*deviation/100 {
			t.Errorf("%s: mean %v, want %v", name, got, want)
		}
	}
	flat := func(value byte, nodes ...nn.Node) *Set { // images of one value
		set := imageSet(t, 1000, 1, 4, 6)
		for i := range set.t.planes[0].mem {
			set.t.planes[0].mem[i] = value
		}
		return augmented(t, set, nodes...)
	}
	m := means(t, flat(40, augmentNode("noise", "deviation", 0.5)), 100, func(b *nn.Batch, row int) []float64 {
		v := float64(b.X[row*24+7])
		return []float64{v, v * v, v * v * v * v}
	})
	near("noise", m[0], 0, 0.5)
	near("noise²", m[1], 0.25, 0.25*math.Sqrt2)
	near("noise⁴", m[2], 3.0/16, math.Sqrt(96)/16)

	lines := func(nodes ...nn.Node) *Set { // white in the left column, else black
		set := flat(0, nodes...)
		for i := 0; i < len(set.t.planes[0].mem); i += 6 {
			set.t.planes[0].mem[i] = 255
		}
		return set
	}
	m = means(t, lines(augmentNode("flip", "probability", 0.3)), 100, func(b *nn.Batch, row int) []float64 {
		return []float64{float64(b.X[row*24] - b.X[row*24+5])}
	})
	whole := 255.0 / 60
	near("flip", m[0], (0.7-0.3)*whole, 2*whole*math.Sqrt(0.3*0.7))
	m = means(t, lines(augmentNode("crop", "padding", 2)), 100, func(b *nn.Batch, row int) []float64 {
		white := []float64{0, 0, 0, 0}
		for x := range white {
			for y := range 4 {
				if b.X[row*24+y*6+x] > 1 {
					white[x] = 1
				}
			}
		}
		return white
	})
	for x, want := range []float64{0.2, 0.2, 0.2, 0} { // shifts of -2 to 2, two of which go out of sight
		near(fmt.Sprintf("crop %d", x), m[x], want, math.Sqrt(want*(1-want))+1e-9)
	}
	for _, alpha := range []float64{0.2, 1, 1.7} {
		m = means(t, flat(3, augmentNode("mixup", "alpha", alpha)), 100, func(b *nn.Batch, row int) []float64 {
			d := float64(b.Shares[row]) - 0.5
			if d < 0 || d > 0.5 {
				t.Fatalf("share %v", b.Shares[row])
			}
			return []float64{d * d}
		})
		near("mixup", m[0], 1/(4*(2*alpha+1)), 0.125) // the variance of the beta distribution
	}
}

func TestCheckAugment(t *testing.T) {
	images := nn.Input{Shape: []int{1, 8, 8}}
	for want, n := range map[string]nn.Node{
		`augment: there is no augmentation "flop"; did you mean "flip"?`:       augmentNode("flop"),
		`augment.axis: is "diagonal"; expected one of horizontal, vertical`:    augmentNode("flip", "axis", "diagonal"),
		"augment.padding: is 8, which could shift an image of 8 x 8 out":       augmentNode("crop", "padding", 8),
		"augment.saturation: needs red, green and blue, but the images have 1": augmentNode("colour", "saturation", 0.1),
		"augment: colour changes nothing":                                      augmentNode("colour"),
		"augment.most: is 0.01, below least, 0.02":                             augmentNode("erase", "most", 0.01),
	} {
		if _, err := CheckAugment([]nn.Node{n}, images); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for _, n := range every() {
		table := nn.Input{Shape: []int{13}}
		_, err := CheckAugment([]nn.Node{n}, table)
		if wants := n.Kind != "noise" && n.Kind != "mixup"; wants != (err != nil) {
			t.Errorf("%s on a table: %v", n.Kind, err)
		}
		if _, err := CheckAugment([]nn.Node{n}, nn.Input{Shape: []int{5}, Tokens: 9}); err == nil {
			t.Errorf("%s on tokens: accepted", n.Kind)
		}
	}
	mixed, err := CheckAugment([]nn.Node{augmentNode("flip"), augmentNode("mixup")}, images)
	if !mixed || err != nil {
		t.Errorf("mixup: %v, %v", mixed, err)
	}
	if _, err := CheckAugment([]nn.Node{augmentNode("mixup"), augmentNode("mixup")}, images); err == nil {
		t.Error("mixup twice: accepted")
	}
	if diff := cmp.Diff(len(augmentKinds()), len(Augmentations())); diff != "" {
		t.Error(diff)
	}
}
