package tensor

// laneWork is what a worker needs for the gradients of lanes.
type laneWork struct{}
