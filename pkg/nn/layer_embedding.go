package nn

import "slices"

// embedding is y = table[token], with
//
//	x  (B, T) tokens      y, dy  (B, T, Dim)      table, dtable  (Tokens, Dim)
type embedding struct{ dim, each, size int }

func embeddingKind() LayerKind {
	return LayerKind{
		Entry: Entry{Name: "embedding", Class: classLayer, Summary: "a trained vector for every token of the input",
			Fields: []Field{integer("dim", 0, "length of the vectors").required().min(1).max(1 << 20).short()}},
		Fit: func(s *Site) Fitted {
			if len(s.In) != 1 || s.In[0].Tokens == 0 {
				s.Fail("", "embedding reads tokens, but its input is numbers; it belongs right behind the input of a data set of tokens")
				return Fitted{}
			}
			in := s.In[0]
			l := embedding{dim: s.Int("dim"), each: size(in.Shape)}
			l.size = in.Tokens * l.dim
			table := Param{Name: "weight", Shape: []int{in.Tokens, l.dim}, Init: Init{Kind: "embedding"}}
			return Fitted{Layer: l, Out: append(slices.Clone(in.Shape), l.dim), Params: []Param{table}}
		},
	}
}

func (l embedding) Forward(p *Pass) {
	p.Engine().Gather(p.Y(), p.Param(0), p.Tokens()[:p.Rows()*l.each], l.dim)
}

func (l embedding) Backward(p *Pass) {
	p.Engine().ScatterAddLanes(p.Grad(0), p.DY(), p.Tokens()[:p.Rows()*l.each], l.dim, l.size, p.LaneRows(l.each))
}
