package job

import (
	"fmt"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// groups reads the parameters that are trained otherwise than the rest.
func (d *decoder) groups(s *Spec, n *node) {
	if n.kind != listKind {
		d.add(n.at, "groups: expected a list of groups, each with match and a factor, got %s", n.describe())
		return
	}
	for i, item := range n.items {
		where := fmt.Sprintf("groups[%d]", i)
		values := d.fields(item, where, nn.GroupFields())
		g := nn.Group{Path: where, LRFactor: 1, DecayFactor: 1, Match: d.patterns(item, where, "match", values["match"])}
		if v, ok := number(values["lr_factor"]); ok {
			g.LRFactor = v
		}
		if v, ok := number(values["decay_factor"]); ok {
			g.DecayFactor = v
		}
		s.Net.Groups = append(s.Net.Groups, g)
	}
}
