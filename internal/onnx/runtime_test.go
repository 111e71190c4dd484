package onnx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// runtimeCase is one line of what testdata/runtime/run.js reads.
type runtimeCase struct {
	Name   string `json:"name"`
	Dims   []int  `json:"dims"`
	Tokens bool   `json:"tokens"`
}

// onnxruntime runs networks by an independent program.
type onnxruntime struct {
	dir   string
	cases []runtimeCase
}

// newRuntime skips the test where onnxruntime is not installed; where clusters
// are tested, it must be.
func newRuntime(t *testing.T) *onnxruntime {
	t.Helper()
	const install = "onnxruntime is missing: (cd internal/onnx/testdata/runtime && npm install --ignore-scripts --no-package-lock)"
	if _, err := os.Stat("testdata/runtime/node_modules/onnxruntime-node"); err != nil {
		if os.Getenv("LOCKSTEP_E2E") != "" {
			t.Fatal(install)
		}
		t.Skip(install)
	}
	return &onnxruntime{dir: t.TempDir()}
}

// add says that a file is to be run on rows records.
func (o *onnxruntime) add(t *testing.T, name string, file []byte, in nn.Input, b *nn.Batch, rows int) {
	t.Helper()
	c := runtimeCase{Name: name, Dims: append([]int{rows}, in.Shape...), Tokens: in.Tokens > 0}
	var x bytes.Buffer
	n := rows * size(in.Shape)
	var data any = b.X[:min(n, len(b.X))]
	if c.Tokens {
		data = fill(n, func(i int) int64 { return int64(b.Tokens[i]) })
	}
	if err := binary.Write(&x, binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	o.cases = append(o.cases, c)
	for ending, text := range map[string][]byte{".onnx": file, ".in": x.Bytes()} {
		if err := os.WriteFile(filepath.Join(o.dir, name+ending), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run gives the outputs by name. What could not be run is an error of the test.
func (o *onnxruntime) run(t *testing.T) map[string][]float32 {
	t.Helper()
	text, err := json.Marshal(o.cases)
	if err == nil {
		err = os.WriteFile(filepath.Join(o.dir, "cases.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "node", "testdata/runtime/run.js", o.dir).CombinedOutput(); err != nil {
		t.Errorf("onnxruntime: %v\n%s", err, said)
	}
	out := map[string][]float32{}
	for _, c := range o.cases {
		raw, err := os.ReadFile(filepath.Join(o.dir, c.Name+".out"))
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

// tolerance of all comparisons with other programs.
const tolerance = 1e-4

func TestEveryLayerInOnnxruntime(t *testing.T) {
	o := newRuntime(t)
	ours := map[string][]float32{}
	for _, n := range networks() {
		b := n.build(t)
		ours[n.name] = n.predict(t, b)
		o.add(t, n.name, b.write(t), n.in, n.batch(), rows)
	}
	theirs := o.run(t)
	for name, y := range ours {
		if d := difference(y, theirs[name]); !(d <= tolerance) {
			t.Errorf("%s: differs by %v\nours   %v\ntheirs %v", name, d, y, theirs[name])
		}
	}
}
