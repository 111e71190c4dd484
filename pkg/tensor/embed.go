package tensor

// Gather sets row i of dst to row ids[i] of table (V, dim).
func (e *Engine) Gather(dst, table []float32, ids []int32, dim int) {
	need("Gather", "dst", len(dst), len(ids)*dim)
	for i, id := range ids {
		copy(dst[i*dim:][:dim], table[int(id)*dim:][:dim])
	}
}

// ScatterAddLanes adds row i of dy to row ids[i] of the gradient of a table with
// size elements, for each lane over its rows, ascending.
func (e *Engine) ScatterAddLanes(dst *Grad, dy []float32, ids []int32, dim, size int, rows []int) {
	need("ScatterAddLanes", "dy", len(dy), len(ids)*dim)
	e.lanes(dst, size, rows, func(g []float32, from, to int) {
		for i := from; i < to; i++ {
			row := g[int(ids[i])*dim:][:dim]
			e.Add(row, row, dy[i*dim:][:dim])
		}
	})
}
