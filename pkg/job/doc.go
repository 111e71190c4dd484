// Package job says what a user asks for: it reads a job file and finds
// everything that is wrong with it before anything is started.
//
// # Terms
//
//	job file   YAML; docs/job-spec.md lists its fields
//	override   "path=value", as given to --set; replaces a field of the file
//	problem    one thing that is wrong, with file, line and column
//	catalogue  what pkg/nn and pkg/dataset offer: layers, losses, formats, …
//
// # A job file's way
//
//	text --parse--> tree --override--> tree --decode--> Spec --CheckInput--> plan
//	                                     |
//	                                 Canonical: YAML again, overrides applied
//
// Each node of the tree knows its place, in the file or in an override, so
// that every later stage can say where the cause of a problem stands. Nothing
// stops at the first problem: Decode reports all of them, sorted by place.
//
// The layers, losses, optimisers and formats are not known here. The decoder
// is driven by the tables of nn.Catalogue and dataset.Formats; what they gain, a
// job file can say.
//
// The package is pure: bytes come in, values go out. Whether data files exist
// is found by package dataset; Spec.Explain then gives that its line and column.
//
// # Cost
//
// Decoding takes about a millisecond. A file may have 128 KiB,
// 4000 lines and 32 levels; 100 problems are listed and the rest counted.
package job
