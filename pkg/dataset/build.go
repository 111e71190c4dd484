package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Build reads all files of a data set below root, checks every record, fits on
// the training split and returns the manifests; test is nil if the spec names no
// test set. What is wrong with the data is an *Error, which names the file, the
// record or line, and what to do.
func Build(ctx context.Context, spec Spec, root string) (train, test *shard.Manifest, err error) {
	if spec.Options == nil {
		return nil, nil, &Error{Path: "data.format", Msg: "the spec has no format"}
	}
	trainSplit, testSplit, hasTest := spec.splits()
	train = &shard.Manifest{Version: shard.Version, Format: spec.Format, Split: shard.Train}
	newEnv := func() *env { return &env{root: root, limit: memoryLimit} }
	t, err := spec.Options.fit(ctx, newEnv(), trainSplit, train)
	if err != nil {
		return nil, nil, err
	}
	fitted := *train
	if t == nil {
		t, err = spec.Options.load(ctx, newEnv(), trainSplit, train)
	}
	if err == nil {
		err = errors.Join(seal(ctx, trainSplit, t, train), t.Close())
	}
	if err != nil || !hasTest {
		return train, nil, err
	}
	test = &fitted
	test.Split = shard.Test
	if t, err = spec.Options.load(ctx, newEnv(), testSplit, test); err == nil {
		err = errors.Join(seal(ctx, testSplit, t, test), t.Close())
	}
	return train, test, err
}

// seal completes the manifest of a table: counts, shards, checksums.
func seal(ctx context.Context, s split, t *table, m *shard.Manifest) (err error) {
	if t.records == 0 && s.part.fraction > 0 {
		return &Error{Path: "data.test.fraction", File: s.files.main(), Msg: fmt.Sprintf(
			"%v leaves no records for the %s set; give another fraction, or more records", s.part.fraction, m.Split)}
	}
	if t.records == 0 {
		return &Error{Path: s.path, File: s.files.main(), Msg: "has no records for this set; check skip, take and fraction"}
	}
	m.Records = t.records
	m.Shards = shard.Cut(m.Records, m.RecordBytes())
	m.Window = shard.WindowFor(m.RecordBytes())
	var scratch []byte
	for i := range m.Shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.Shards[i].SHA256, scratch, err = t.checksum(m.Shards[i], scratch); err != nil {
			return err
		}
	}
	if err := m.Validate(); err != nil {
		return &Error{Path: s.path, File: s.files.main(), Msg: err.Error(), Err: err}
	}
	return nil
}

// checksumRun is how many bytes of a shard are read at a time.
const checksumRun = 1 << 18

// checksum returns the SHA-256 of a shard's records, hex, and the scratch space it
// used.
func (t *table) checksum(s shard.Shard, scratch []byte) (string, []byte, error) {
	h := sha256.New()
	for i := range t.planes {
		p := &t.planes[i]
		run := max(checksumRun/p.stride, 1)
		if need := run * p.stride; p.f != nil && int64(len(scratch)) < need {
			scratch = make([]byte, need)
		}
		for first := s.First; first < s.First+s.Records; first += run {
			b, err := p.view(scratch, first, min(run, s.First+s.Records-first))
			if err != nil {
				return "", scratch, err
			}
			h.Write(b)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), scratch, nil
}

// Open makes the records of a manifest that Build returned readable at random.
// It is given the same spec; root and the files may be copies. cacheDir is where
// large tables are kept for later runs; if it is "" they lie in the system's
// directory of temporary files until the Set is closed. The Set must be closed.
func Open(ctx context.Context, spec Spec, root string, m *shard.Manifest, cacheDir string) (*Set, error) {
	if err := checkManifest(spec, m); err != nil {
		return nil, err
	}
	s := &Set{m: m, checked: newChecks(m)}
	e := &env{root: root, cache: cacheDir, key: m.Digest()[:32], limit: memoryLimit}
	if m.Records*m.RecordBytes() > memoryLimit {
		e.limit = 0 // all planes go to files, so that all can be used again
	}
	if cacheDir != "" {
		e.sweep(time.Now())
	}
	var err error
	if s.t = e.reuse(m); s.t == nil {
		s.t, err = s.load(ctx, e, spec)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// load loads the split that the manifest is of.
func (s *Set) load(ctx context.Context, e *env, spec Spec) (*table, error) {
	train, test, hasTest := spec.splits()
	which := train
	if s.m.Split == shard.Test {
		if !hasTest {
			return nil, errors.New("data set: the manifest is of a test set, but the job names none")
		}
		which = test
	}
	t, err := spec.Options.load(ctx, e, which, s.m)
	if err != nil {
		return nil, err
	}
	if t.records != s.m.Records {
		err := &Error{Path: which.path, File: which.files.main(), Msg: fmt.Sprintf(
			"has %d records, but had %d when the job was submitted; restore it or submit the job again", t.records, s.m.Records)}
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// checkManifest refuses a manifest that the loader could not decode.
func checkManifest(spec Spec, m *shard.Manifest) error {
	if err := m.Validate(); err != nil {
		return fmt.Errorf("data set: %w", err)
	}
	if spec.Options == nil || m.Format != spec.Format {
		return fmt.Errorf("data set: the manifest is of format %q, the job of format %q", m.Format, spec.Format)
	}
	for _, p := range m.Planes {
		if newDecode(m, p) == nil {
			return fmt.Errorf("data set: plane %q of %d %q cannot be decoded by this version", p.Role, p.Count, p.Type)
		}
	}
	return nil
}

// InputOf returns what a network needs to know of the records of a manifest.
func InputOf(m *shard.Manifest) nn.Input {
	in := nn.Input{
		Shape:  m.Input.Shape,
		Tokens: m.Input.Tokens,
		Target: nn.Target{
			Kind:    nn.TargetKind(m.Input.Target.Kind),
			Classes: m.Input.Target.Classes,
			Shape:   m.Input.Target.Shape,
		},
	}
	if len(m.Fit.Target) == 1 {
		in.Target.Scale = m.Fit.Target[0].Scale
	}
	return in
}
