// Package dataset turns data files into batches: formats -> records -> batches.
//
// # Terms
//
//	format   how files hold records: idx, csv, …; one file of this package each
//	split    the training or the test records
//	fit      what is learned from the training split before training: means,
//	         deviations, categories, classes. It is applied unchanged to the rest
//	plane    one part of every record, of a fixed size: pixels, a label, features
//	table    all records of a split: for each plane, records at a fixed distance
//
// # A data set's way
//
// Build reads everything once, checks it, fits and makes the manifests. It runs
// where a job is submitted. Open runs on each worker: it makes the same table
// readable at random from the manifest's fit, without looking at the whole again
// where the files allow that. A Loader then asks the dealer of pkg/shard which
// records come next, reads and decodes them ahead of use.
//
// The checksums of a manifest are over the records as the table holds them, not
// over the files: a compressed copy of a file is the same data set. A shard's
// checksum is verified when one of its records is first read.
//
// # Where tables live
//
// An uncompressed IDX file is a table as it lies there: a worker reads only the
// records of its lanes. A compressed IDX file or a CSV file has to be read from
// its beginning, so it is turned into a table once: in memory if the tables of a
// split take at most 64 MiB, else in a file of the cache directory, which later
// runs use again. Memory is bounded by that, the buffers of the loaders, and one
// shard.
//
// # Cost
//
// Decoding a record of 784 pixels takes about a microsecond on one core; reading a
// CSV file about a second for 100 MB.
package dataset
