package nn

import "fmt"

// Layer computes one node of a network. It holds what it was fitted with and no
// buffers; those come with the Pass.
type Layer interface {
	// Forward computes p.Y() from p.X(i), p.Rows() rows of each.
	Forward(p *Pass)
	// Backward reads p.DY(), adds to the parameter gradients p.Grad(j) lane by
	// lane, and overwrites p.DX(i) wherever that is not nil.
	Backward(p *Pass)
}

// Value describes what flows along an edge.
type Value struct {
	// Shape is that of one record.
	Shape []int
	// Tokens is the size of the vocabulary if the value is tokens, else 0.
	Tokens int
}

// Fitted is what a layer needs at its place in a network.
type Fitted struct {
	Layer Layer
	// Out is the shape of one record's output.
	Out []int
	// Alias means that the output is the first input with another shape. Layer
	// is then nil.
	Alias bool
	// Params are the parameters, in the order of Pass.Param.
	Params []Param
	// Keep and KeepInts are sizes, in elements a record, of buffers that hold
	// from forward to backward: Pass.Keep and Pass.KeepInts.
	Keep, KeepInts []int
	// KeepLanes are sizes, in elements a lane, of buffers that hold from forward
	// to backward: Pass.KeepLane.
	KeepLanes []int
	// Scratch is the size in elements a record of Pass.Scratch, which holds
	// only during one call.
	Scratch int
	// Buffers are tensors that belong to the state but are not trained.
	Buffers []Buffer
	// Words is the number of words that the layer has in the stats of every
	// lane: Pass.Words. With them it is a Committer.
	Words int
	// Loss means that the layer has a part of the loss: Pass.AddLoss.
	Loss bool
	// Random means that in training the output depends on more than the record, as
	// by Pass.Stream, although nothing of the layer is trained.
	Random bool
	// Spends means that Backward uses up what Forward kept. A network that goes
	// back a second time is then run forward again.
	Spends bool
	// Drawn means that the output has, over the records, nearly the distribution
	// of normal numbers, so that what follows makes new records of such numbers.
	Drawn bool
	// MACs is the number of multiply-adds of one record's forward pass, for
	// layers that multiply matrices.
	MACs int
}

// Param is one tensor that is trained.
type Param struct {
	// Name is the parameter's own name: "weight".
	Name  string
	Shape []int
	// Init says how it gets its first values.
	Init Init
	// Uses is how many times a backward pass adds to the gradient; 0 means 1.
	Uses int
}

// Buffer is a tensor that is part of a network but has no gradient.
type Buffer struct {
	Name  string
	Shape []int
	Value float32 // of all elements at first
}

// Committer is a layer with a state of its own, which may change only when a
// step is committed.
type Committer interface {
	// Commit changes the buffers from the words that the layer left in the stats
	// of the lanes. All ranks call it with the same words.
	Commit(c *CommitPass)
}

// Size is the number of elements.
func (p Param) Size() int { return size(p.Shape) }

// Site is the place where a layer is to stand.
type Site struct {
	// Args are the layer's fields.
	Args
	// In are the inputs, at least one.
	In []Value

	input Value // of the network
	path  string
	errs  *Errors
}

// Fail reports that the layer does not fit. field may be empty.
func (s *Site) Fail(field, format string, args ...any) {
	path := s.path
	if field != "" {
		path += "." + field
	}
	s.errs.addf(path, format, args...)
}

// one checks that the layer has one input that is not tokens and returns its
// shape. Otherwise it reports why and returns false.
func (s *Site) one(kind string) ([]int, bool) {
	if len(s.In) != 1 {
		s.Fail("", "%s has one input; it was given %d", kind, len(s.In))
		return nil, false
	}
	return s.In[0].Shape, s.floats(kind)
}

// floats checks that no input is tokens.
func (s *Site) floats(kind string) bool {
	for _, v := range s.In {
		if v.Tokens > 0 {
			s.Fail("", "%s works on numbers, but its input is tokens; put an embedding before it", kind)
			return false
		}
	}
	return true
}

// image checks that the layer has one input of shape (C, H, W).
func (s *Site) image(kind string) ([]int, bool) {
	in, ok := s.one(kind)
	if !ok {
		return nil, false
	}
	if len(in) != 3 {
		s.Fail("", "%s works on images (channels, height, width), but its input is %s%s", kind, shapeString(in), imageHint(in))
		return nil, false
	}
	return in, true
}

func imageHint(in []int) string {
	if len(in) == 2 {
		return fmt.Sprintf("; reshape it to [1, %d, %d] first, or to [%[1]d, 1, %[2]d] if its rows are channels", in[0], in[1])
	}
	return ""
}

// paddingField is the field of layers that can pass over filling.
func paddingField() Field {
	return integer("padding", -1, "a token of the input that is only filling: its positions are passed over; -1 is none").min(-1)
}

// padding reads the padding field of a layer over steps positions. It needs a
// token of the network's input for every position.
func (s *Site) padding(steps int) int {
	pad := s.Int("padding")
	if pad >= 0 && (s.input.Tokens <= pad || size(s.input.Shape) != steps) {
		s.Fail("padding", "is token %d of %d positions, but the records are %s of %d tokens", pad, steps, shapeString(s.input.Shape), s.input.Tokens)
	}
	return pad
}

// pair reads an integers field that is one number for both axes or (height,
// width).
func (s *Site) pair(name string) (h, w int) {
	switch v := s.Ints(name); len(v) {
	case 1:
		return v[0], v[0]
	case 2:
		return v[0], v[1]
	default:
		s.Fail(name, "has %d numbers; expected one, or [height, width]", len(v))
		return 1, 1
	}
}
