// Package dataset turns data files into batches: formats -> records -> batches.
//
// # Terms
//
//	format   how files hold records: idx, csv, images, series, text
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
// # Augmentation
//
// A Set with Augment varies its records while a Loader makes batches of them, ahead
// of their use: the table, its checksums and the fit are those of the records as
// they are. What is random in it is drawn by internal/philox for (seed, number of
// the augmentation, epoch, step, lane, row of the lane), with arithmetic that is
// the same on every machine. So a lane's records do not depend on who loads it.
//
// # Where tables live
//
// An uncompressed IDX file is a table as it lies there: a worker reads only the
// records of its lanes. Compressed files and those of the other formats have to be
// read from their beginning, so they are turned into a table once: in memory if the
// tables of a split take at most 64 MiB, else in files of the cache directory,
// which later runs use again, and Tidy bounds. From then on, too, only the records
// of the worker's lanes are read. Memory is bounded by that limit, the batches of
// the loaders, and what a fit remembers (words, not records).
//
// # Cost
//
// Decoding a record of 784 pixels takes about a microsecond on one core; reading a
// CSV file about a second for 100 MB. Shifting, mirroring and mixing images cost one
// or two nanoseconds a number, resampling and colours some ten, noise some forty.
package dataset
