// Package onnx reads and writes networks in the Open Neural Network Exchange
// format, which other programs run: https://onnx.ai.
//
// # Terms
//
//	operator     what a node of a file computes: Conv, Relu
//	layer        what a node of a job computes: conv2d, relu; one or more operators
//	initializer  a constant tensor of a file, mostly a weight
//	record       one row of a batch; layers know the shape of a record, operators
//	             that of a batch, whose first axis has any size
//
// # Reading
//
// Read gives a file's initializers by their names, which is all that is needed to
// start from its weights. Model.Network also reads the graph as layers, with the
// weights under the names and in the layout of this module's own model files. A
// layer that is written as several operators is recognised by writing it again
// and comparing. What is not one of our layers is an error that names the node.
//
// # Writing
//
// Write says for every layer of a network which operators compute it. The shapes
// are those of the plan, the weights a model file's.
//
// # Cost
//
// A file is held in memory once, its tensors a second time.
package onnx
