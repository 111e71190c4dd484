package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Version is the version of the manifest's form.
const Version = 1

// Manifest is all that a worker must know of one data set (a training or a test
// set) to deal, read, verify and decode its records. It is a value: nothing in it
// changes once it is built.
type Manifest struct {
	Version int    `json:"version"`
	Format  string `json:"format"`
	Split   Split  `json:"split"`
	// Records is the number of records; Shards covers them without gap or overlap.
	Records int64   `json:"records"`
	Shards  []Shard `json:"shards"`
	// Window is the number of records that are shuffled among each other.
	Window int64 `json:"window"`
	// Planes says how a record is stored, and in which order checksums see it.
	Planes []Plane `json:"planes"`
	Input  Input   `json:"input"`
	Fit    Fit     `json:"fit"`
}

// Split says which records of a job a manifest is of.
type Split string

// The splits.
const (
	Train Split = "train"
	Test  Split = "test"
)

// Shard is a run of records.
type Shard struct {
	First   int64 `json:"first"`
	Records int64 `json:"records"`
	// SHA256 (hex) is over the bytes of the shard's records: all of the first
	// plane, then all of the second, and so on.
	SHA256 string `json:"sha256"`
}

// Plane is one part of every record, of a fixed size. Numbers are little-endian.
type Plane struct {
	Role  Role `json:"role"`
	Type  Type `json:"type"`
	Count int  `json:"count"` // numbers in a record
}

// Role is what a plane becomes in a batch.
type Role string

// The roles. A data set has at most one plane of each.
const (
	RoleX      Role = "x"      // the input, numbers
	RoleTokens Role = "tokens" // the input, integers for an embedding
	RoleClass  Role = "class"  // the target, one or more classes
	RoleY      Role = "y"      // the target, numbers
	RoleWeight Role = "weight" // the weight of the record in the loss
)

// Type is how a number is stored.
type Type string

// The types.
const (
	U8  Type = "u8"
	U16 Type = "u16"
	I32 Type = "i32"
	F32 Type = "f32"
)

// Size returns the bytes of one number, or 0 for an unknown type.
func (t Type) Size() int {
	switch t {
	case U8:
		return 1
	case U16:
		return 2
	case I32, F32:
		return 4
	}
	return 0
}

// Bytes returns the size of the plane in one record.
func (p Plane) Bytes() int { return p.Count * p.Type.Size() }

// Input describes one record as a network sees it.
type Input struct {
	// Shape of one record: (channels, height, width), (features) or (time).
	Shape []int `json:"shape"`
	// Tokens is the size of the vocabulary; 0 means that the input is numbers.
	Tokens int    `json:"tokens,omitempty"`
	Target Target `json:"target"`
}

// Target is what is to be predicted.
type Target struct {
	// Kind is "class" (integers below Classes), "value" (numbers) or "" (none).
	Kind    string `json:"kind,omitempty"`
	Classes int    `json:"classes,omitempty"`
	// Shape of one record's target; empty for a single class.
	Shape []int `json:"shape,omitempty"`
}

// The kinds of target.
const (
	Class = "class"
	Value = "value"
)

// Fit is what was learned from the training files before training: it is applied
// unchanged to the test files and to whatever is predicted later.
type Fit struct {
	// Columns describes the inputs in the order of the record: the columns of a
	// table, or the channels of an image.
	Columns []Column `json:"columns,omitempty"`
	// Target describes a target of numbers: a prediction p of the network means
	// p*Scale + Shift in the units of the file.
	Target []Column `json:"target,omitempty"`
	// Classes names the classes; class i is Classes[i].
	Classes []string `json:"classes,omitempty"`
	// Vocabulary lists the tokens; token i is Vocabulary[i].
	Vocabulary []string `json:"vocabulary,omitempty"`
}

// Column is one number or category of a record. A number v of the file enters
// the network as (v - Shift) / Scale.
type Column struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"` // "number", "category", "text" or "id"
	Shift float64 `json:"shift,omitempty"`
	Scale float64 `json:"scale,omitempty"`
	// Fill replaces a missing number, in the units of the file; nil if a missing
	// number is an error.
	Fill *float64 `json:"fill,omitempty"`
	// Categories lists the words of a category column: word i sets input i of the
	// column's len(Categories) inputs to 1.
	Categories []string `json:"categories,omitempty"`
}

// RecordBytes returns the stored size of one record.
func (m *Manifest) RecordBytes() int64 {
	var n int64
	for _, p := range m.Planes {
		n += int64(p.Bytes())
	}
	return n
}

// Encode returns the manifest as JSON, the same bytes for the same manifest.
func (m *Manifest) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil { // a NaN or infinity in Fit: Validate refuses it
		panic(fmt.Sprintf("shard: manifest does not encode: %v", err))
	}
	return b
}

// Digest returns the SHA-256 of Encode, hex.
func (m *Manifest) Digest() string {
	sum := sha256.Sum256(m.Encode())
	return hex.EncodeToString(sum[:])
}

// Decode reads a manifest written by Encode and validates it.
func Decode(data []byte) (*Manifest, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	m := new(Manifest)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Validate reports all that is wrong with the manifest.
func (m *Manifest) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if m.Version != Version {
		bad("version %d: this program knows version %d", m.Version, Version)
	}
	if m.Records <= 0 || m.Records > math.MaxInt32 {
		bad("%d records: must be 1 to %d", m.Records, math.MaxInt32)
	}
	if m.Window <= 0 {
		bad("window %d: must be at least 1", m.Window)
	}
	var next int64
	for i, s := range m.Shards {
		if s.First != next || s.Records <= 0 {
			bad("shard %d: records %d+%d: must be one or more from %d", i, s.First, s.Records, next)
			break
		}
		if b, err := hex.DecodeString(s.SHA256); err != nil || len(b) != sha256.Size {
			bad("shard %d: sha256 %q: must be %d hex digits", i, s.SHA256, 2*sha256.Size)
		}
		next += s.Records
	}
	if next != m.Records && len(errs) == 0 {
		bad("shards hold %d records of %d", next, m.Records)
	}
	seen := map[Role]bool{}
	for i, p := range m.Planes {
		if p.Type.Size() == 0 || p.Count <= 0 || p.Count > math.MaxInt32/4 || seen[p.Role] {
			bad("plane %d: %q of %d %q: unknown type, no size, or a second of its role", i, p.Role, p.Count, p.Type)
		}
		seen[p.Role] = true
	}
	if !seen[RoleX] && !seen[RoleTokens] {
		bad("no plane %q or %q: records have no input", RoleX, RoleTokens)
	}
	for _, c := range append(append([]Column(nil), m.Fit.Columns...), m.Fit.Target...) {
		if !finite(c.Shift) || !finite(c.Scale) || c.Fill != nil && !finite(*c.Fill) {
			bad("column %q: shift, scale and fill must be finite", c.Name)
		}
	}
	return errors.Join(errs...)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// The bounds of Cut: small sets still get enough shards to be mixed between
// lanes, large ones few enough that the manifest stays small.
const (
	leastShardBytes = 16 << 10
	mostShardBytes  = 64 << 20
	aimShards       = 128
	windowBytes     = 64 << 20
	leastWindow     = 1 << 8
	mostWindow      = 1 << 20
)

// Cut divides records of recordBytes each into shards: about 128 of them, but
// none below 16 KiB or above 64 MiB (a shard has at least one record). Shards
// differ by at most one record. The checksums are left empty.
func Cut(records, recordBytes int64) []Shard {
	if records <= 0 {
		return nil
	}
	recordBytes = max(recordBytes, 1)
	size := min(max(records*recordBytes/aimShards, leastShardBytes), mostShardBytes)
	per := max(size/recordBytes, 1)
	n := (records + per - 1) / per
	shards := make([]Shard, n)
	var first int64
	for i := range shards {
		count := records / n
		if int64(i) < records%n {
			count++
		}
		shards[i] = Shard{First: first, Records: count}
		first += count
	}
	return shards
}

// WindowFor returns the window for records of recordBytes each: 64 MiB of them,
// at least 256 and at most 2^20.
func WindowFor(recordBytes int64) int64 {
	return min(max(windowBytes/max(recordBytes, 1), leastWindow), mostWindow)
}
