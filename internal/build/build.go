// Package build says what this program is: the version of its source, and the
// edition of the bits that it computes. Two builds of one edition make the same
// models, whatever their versions.
package build

import "runtime/debug"

// Edition numbers the bits: builds of one edition make the same model of the same
// job and data. It stands for everything that a model depends on besides those:
// kernels, layers, losses, optimisers, the exact sum, how records are dealt and
// augmented, random numbers.
//
// It must be raised by one whenever a bit of any of these changes. What notices most
// changes are the digests in pkg/tensor/pinned_test.go, pkg/nn/testdata/bits.txt and
// pkg/dataset/augment_test.go.
//
// Coordinators admit workers and other coordinators of their own edition only. Workers
// of two editions in a ring would have different replicas, for which a machine that
// computes wrongly would be blamed.
const Edition = 1

// version is set by the linker for releases.
var version string

// Version names the source: as the linker was told, or else as the Go tool knows it.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "dev-" + s.Value[:12]
		}
	}
	return info.Main.Version
}
