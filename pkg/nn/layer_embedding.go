package nn

import "slices"

// embedding is y = table[token], with
//
//	x  (B, T) tokens      y, dy  (B, T, Dim)      table, dtable  (Tokens, Dim)
//
// or, of one column of x, y (B, Dim).
type embedding struct {
	dim, each, size int // length of a vector, tokens of a record that are read, size of the table
	column, columns int // the column that is read, -1 for all
}

func embeddingKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "embedding", Class: classLayer, Shapes: "tokens (t) -> (t, dim); (dim) of one column", Summary: "a trained vector for every token of the input",
			Fields: []Field{
				integer("dim", 0, "length of the vectors").required().min(1).max(1 << 20).short(),
				integer("column", -1, "reads one column of the tokens, say the user of (user, film); -1 reads all").min(-1),
				deviationField(1),
			}},
		Fit: fitEmbedding,
	}
}

func fitEmbedding(s *Site) Fitted {
	if len(s.In) != 1 || s.In[0].Tokens == 0 {
		s.Fail("", "embedding reads tokens, but its input is numbers; it belongs right behind the input of a data set of tokens")
		return Fitted{}
	}
	in := s.In[0]
	l := embedding{dim: s.Int("dim"), each: size(in.Shape), column: s.Int("column"), columns: size(in.Shape)}
	l.size = in.Tokens * l.dim
	f := Fitted{Out: append(slices.Clone(in.Shape), l.dim)}
	if l.column >= l.columns {
		s.Fail("column", "is %d, but a record has tokens 0 to %d", l.column, l.columns-1)
	}
	if l.column >= 0 {
		l.each, f.Out = 1, []int{l.dim}
	}
	f.Layer, f.KeepInts = l, []int{l.each}
	f.Params = []Param{{Name: "weight", Shape: []int{in.Tokens, l.dim}, Init: Init{Kind: "normal", Deviation: s.Float("deviation")}}}
	return f
}

func (l embedding) Forward(p *Pass) {
	ids, tokens := p.KeepInts(0), p.Tokens()
	if l.column < 0 {
		copy(ids, tokens)
	} else {
		for i := range ids {
			ids[i] = tokens[i*l.columns+l.column]
		}
	}
	p.Engine().Gather(p.Y(), p.Param(0), ids, l.dim)
}

func (l embedding) Backward(p *Pass) {
	p.Engine().ScatterAddLanes(p.Grad(0), p.DY(), p.KeepInts(0), l.dim, l.size, p.LaneRows(l.each))
}
