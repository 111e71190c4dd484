package tensor

// Gather sets row i of dst to row ids[i] of table (V, dim).
func (e *Engine) Gather(dst, table []float32, ids []int32, dim int) {
	n := volume("Gather", len(ids), dim)
	need("Gather", "dst", len(dst), n)
	apart("Gather", dst[:n], table)
	for i, id := range ids {
		copy(dst[i*dim:][:dim], table[int(id)*dim:][:dim])
	}
}

// ScatterAddLanes adds row i of dy to row ids[i] of the gradient of a table with
// size elements, for each lane over its rows, ascending.
func (e *Engine) ScatterAddLanes(dst *Grad, dy []float32, ids []int32, dim, size int, rows []int) {
	last := laneRows("ScatterAddLanes", rows)
	n := volume("ScatterAddLanes", last, dim)
	need("ScatterAddLanes", "dy", len(dy), n)
	need("ScatterAddLanes", "ids", len(ids), last)
	dst.check("ScatterAddLanes", volume("ScatterAddLanes", size), len(rows)-1, dy[:n])
	w := e.pool.workers[0]
	for i := range e.laneCount(dst, rows) {
		g, from, to := e.laneBuffer(dst, size, rows, i)
		for r := from; r < to; r++ {
			w.add(g[int(ids[r])*dim:][:dim], dy[r*dim:][:dim])
		}
		e.endLane(dst, i, g)
	}
}
