package nn

// due reports whether the step that follows the updates done is one that
// updates network n.
func (t *Trainer) due(n int) bool {
	order := t.plan.recipe.Alternation
	return len(order) == 0 || order[int(t.updates[0])%len(order)] == n
}

// updatesOf is how many of the updates done were of network n.
func (t *Trainer) updatesOf(n int) int {
	order, done := t.plan.recipe.Alternation, int(t.updates[0])
	if len(order) == 0 {
		return done
	}
	count := 0
	for i, of := range order {
		if of == n {
			count += (done + len(order) - 1 - i) / len(order)
		}
	}
	return count
}
