// Package onnxtest runs networks of other programs' format by another program,
// onnxruntime, for tests that compare its arithmetic with ours. It is installed,
// in the version that package.json names, by
//
//	npm install --prefix internal/onnx/onnxtest --ignore-scripts --no-package-lock
//
// Where it is not, the tests are skipped. A case costs a few milliseconds, the
// program half a second.
package onnxtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tolerance is how far another program's output may be from ours.
const Tolerance = 1e-4

// Runtime collects networks with their inputs, and runs them together.
type Runtime struct {
	script, dir string
	cases       []record
}

// record is one line of what run.js reads.
type record struct {
	Name   string `json:"name"`
	Dims   []int  `json:"dims"`
	Tokens bool   `json:"tokens"`
}

// New skips the test where onnxruntime is not installed. Where LOCKSTEP_E2E asks
// for all tests, it must be.
func New(t *testing.T) *Runtime {
	t.Helper()
	root := ".."
	for range 8 {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Join("..", root)
	}
	home := filepath.Join(root, "internal", "onnx", "onnxtest")
	if _, err := os.Stat(filepath.Join(home, "node_modules", "onnxruntime-node")); err != nil {
		const install = "onnxruntime is missing: npm install --prefix internal/onnx/onnxtest --ignore-scripts --no-package-lock"
		if os.Getenv("LOCKSTEP_E2E") != "" {
			t.Fatal(install)
		}
		t.Skip(install)
	}
	return &Runtime{script: filepath.Join(home, "run.js"), dir: t.TempDir()}
}

// Numbers adds a network that reads float32.
func (r *Runtime) Numbers(t *testing.T, name string, file []byte, x []float32, dims ...int) {
	t.Helper()
	r.add(t, record{name, dims, false}, file, x)
}

// Tokens adds a network that reads int64.
func (r *Runtime) Tokens(t *testing.T, name string, file []byte, x []int32, dims ...int) {
	t.Helper()
	wide := make([]int64, len(x))
	for i, token := range x {
		wide[i] = int64(token)
	}
	r.add(t, record{name, dims, true}, file, wide)
}

func (r *Runtime) add(t *testing.T, c record, file []byte, x any) {
	t.Helper()
	var in bytes.Buffer
	if err := binary.Write(&in, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	r.cases = append(r.cases, c)
	for ending, text := range map[string][]byte{".onnx": file, ".in": in.Bytes()} {
		if err := os.WriteFile(filepath.Join(r.dir, c.Name+ending), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Run gives the outputs by name. What cannot be run is an error of the test.
func (r *Runtime) Run(t *testing.T) map[string][]float32 {
	t.Helper()
	text, err := json.Marshal(r.cases)
	if err == nil {
		err = os.WriteFile(filepath.Join(r.dir, "cases.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "node", r.script, r.dir).CombinedOutput(); err != nil {
		t.Errorf("onnxruntime: %v\n%s", err, said)
	}
	out := map[string][]float32{}
	for _, c := range r.cases {
		raw, err := os.ReadFile(filepath.Join(r.dir, c.Name+".out"))
		if err != nil {
			continue // the program has said why
		}
		y := make([]float32, len(raw)/4)
		if err := binary.Read(bytes.NewReader(raw), binary.LittleEndian, y); err != nil {
			t.Fatal(err)
		}
		out[c.Name] = y
	}
	return out
}

// Difference is the largest |a-b|; infinite if the lengths differ or one is not
// a number.
func Difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	most := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		most = max(most, d)
	}
	return most
}
