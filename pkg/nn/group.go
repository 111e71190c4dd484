package nn

import (
	"regexp"
	"strings"
)

// Group says how the parameters of some names are trained. A parameter belongs
// to the first group of the Spec that has its name, or to none.
type Group struct {
	// Match are the names, "stem.weight"; each must match a whole name.
	Match []*regexp.Regexp
	// LRFactor multiplies the learning rate, beside the layer's own lr_factor. A
	// layer whose parameters all have 0 is frozen: it works as in a finished network.
	LRFactor float64
	// DecayFactor multiplies the optimiser's weight_decay and l1.
	DecayFactor float64
	// Path is where the group stands in the job, for errors: "groups[0]".
	Path string
}

// GroupFields are the fields of a group in a job file.
func GroupFields() []Field {
	return []Field{
		{Name: "match", Type: typeTexts, Required: true,
			Summary: "regular expressions of whole names of parameters, as in a model file: stem.weight; the first group that has a name takes it"},
		number("lr_factor", 1, "factor of the learning rate; 0 freezes: layers of which nothing is trained work as in a finished network").min(0),
		number("decay_factor", 1, "factor of the optimizer's weight_decay and l1; 0 for biases and norms, say").min(0),
	}
}

// has reports whether the group's names include name.
func (g *Group) has(name string) bool {
	for _, m := range g.Match {
		if m.MatchString(name) {
			return true
		}
	}
	return false
}

// applyGroups gives every parameter the factors of its group.
func (p *Plan) applyGroups(errs *Errors) {
	used := make([]bool, len(p.spec.Groups))
	for i := range p.params {
		prm := &p.params[i]
		for j := range p.spec.Groups {
			if g := &p.spec.Groups[j]; g.has(prm.name) {
				used[j] = true
				prm.factor *= g.LRFactor
				prm.decay = g.DecayFactor
				break
			}
		}
	}
	for j, g := range p.spec.Groups {
		if !used[j] {
			errs.addf(g.Path+".match", "no parameter is left for this group; the names are %s", p.paramNames())
		}
	}
	for i := range p.nodes {
		if n := &p.nodes[i]; len(n.params) > 0 {
			n.factor = 0
			for _, j := range n.params {
				n.factor = max(n.factor, p.params[j].factor)
			}
		}
	}
}

// paramNames lists the first names of parameters.
func (p *Plan) paramNames() string {
	const most = 12
	var names []string
	for i := range p.params {
		if i == most {
			return strings.Join(names, ", ") + ", …"
		}
		names = append(names, p.params[i].name)
	}
	return strings.Join(names, ", ")
}
