package weights

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
	"github.com/lockstep-ml/lockstep/pkg/tensor"
	pb "github.com/lockstep-ml/lockstep/proto/onnx"
)

const jobFile = `name: small
data: {format: csv, train: t.csv, target: y}
model: [{dense: {units: 2, name: body.fc}}, {batch_norm: {name: body.norm}}, relu, {dense: {units: 3, name: head}}]
loss: cross_entropy
optimizer: sgd
epochs: 1
global_batch: 4
lanes: 2
start: {weights: w.safetensors%s}
`

// network is the job with more in its start section, and its plan.
func network(t *testing.T, start string) (*job.Spec, *nn.Plan) {
	t.Helper()
	spec, err := job.Decode("job.yaml", []byte(strings.Replace(jobFile, "%s", start, 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := spec.CheckInput(nn.Input{Shape: []int{4}, Target: nn.Target{Kind: nn.TargetClass, Classes: 3}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return spec, plan
}

// ramp is a tensor of first, first+1, …
func ramp(name string, first float32, dims ...int) safetensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	out := safetensors.Tensor{Name: name, Shape: dims, F32: make([]float32, n)}
	for i := range out.F32 {
		out.F32[i] = first + float32(i)
	}
	return out
}

func writeFile(t *testing.T, tensors ...safetensors.Tensor) (root string) {
	t.Helper()
	root = t.TempDir()
	f, err := os.Create(filepath.Join(root, "w.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.Write(f, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return root
}

func trunk() []safetensors.Tensor {
	return []safetensors.Tensor{
		ramp("module.fc.weight", 10, 2, 4), ramp("module.fc.bias", 20, 2),
		ramp("module.norm.weight", 30, 2), ramp("module.norm.bias", 40, 2),
		ramp("module.norm.running_mean", 50, 2), ramp("module.norm.running_var", 60, 2),
		{Name: "module.norm.num_batches_tracked", Shape: []int{}, I64: []int64{7}},
		ramp("head.weight", 70, 9, 2), ramp("old.scale", 80, 1),
	}
}

const renamed = `, rename: [{from: '^module\.', to: body.}], skip: 'head\..*'`

// Running statistics start from the file too; what has no partner is listed.
func TestStart(t *testing.T) {
	root := writeFile(t, trunk()...)
	spec, plan := network(t, renamed)
	started, r, err := Start(&spec.Start, root, plan)
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{File: "w.safetensors", SHA256: r.SHA256,
		Started: []string{"body.fc.weight", "body.fc.bias", "body.norm.weight", "body.norm.bias", "body.norm.running_mean", "body.norm.running_var"},
		Drawn:   []string{"head.weight", "head.bias"}, Unused: []string{"head.weight", "old.scale"}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	lines := "start: 6 of 8 tensors of the network come from w.safetensors\n" +
		"start: not in the file, so drawn: head.weight, head.bias\n" +
		"start: in the file, but not used: head.weight, old.scale"
	if got := strings.Join(r.Lines(), "\n"); got != lines {
		t.Errorf("lines\n%s\nwant\n%s", got, lines)
	}
	engine, err := tensor.New(tensor.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	tr, err := nn.NewTrainer(engine, started, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	tr.Init()
	first := map[string]float32{}
	for _, p := range tr.ParamTensors() {
		first[p.Name] = p.F32[1]
	}
	for name, v := range map[string]float32{"body.fc.weight": 11, "body.fc.bias": 21, "body.norm.weight": 31, "body.norm.bias": 41,
		"body.norm.running_mean": 51, "body.norm.running_var": 61} {
		if first[name] != v {
			t.Errorf("%s begins with %v, want %v", name, first[name], v)
		}
	}
	spec.PinWeights(r.SHA256)
	again, err := job.Decode("job.yaml", spec.Canonical(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Start(&again.Start, root, plan); err != nil || again.Start.SHA256 != r.SHA256 {
		t.Errorf("the canonical job: %v", err)
	}
}

func TestWithoutStart(t *testing.T) {
	_, plan := network(t, "")
	if out, r, err := Start(&job.Start{}, "", plan); out != plan || r != nil || err != nil {
		t.Errorf("%v %v %v, want the plan as it was", out, r, err)
	}
}

func TestStartRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		start   string
		tensors []safetensors.Tensor
		want    string
	}{
		"shape": {`, rename: [{from: '^module\.', to: body.}]`, trunk(),
			"start.weights: w.safetensors does not fit the network: head.weight has shape (9, 2), but head.weight of the network has (3, 2); rename or skip what does not belong to it"},
		"nothing": {"", trunk()[:7], "start.weights: no tensor of w.safetensors has a name of the network; the file has module.fc.weight, module.fc.bias, " +
			"module.norm.weight, module.norm.bias, module.norm.running_mean, module.norm.running_var; the network has body.fc.weight, body.fc.bias, " +
			"body.norm.weight, body.norm.bias, body.norm.running_mean, body.norm.running_var, head.weight, head.bias; name the layers alike or use rename"},
		"two": {`, rename: [{from: '.*bias', to: head.bias}]`, []safetensors.Tensor{ramp("a.bias", 0, 3), ramp("b.bias", 0, 3)}, "a.bias and b.bias would both start head.bias"},
		"integers": {"", []safetensors.Tensor{{Name: "head.bias", Shape: []int{3}, I32: []int32{1, 2, 3}}},
			"no tensor of w.safetensors has a name of the network"},
		"checksum": {", sha256: " + strings.Repeat("ab", 32), trunk(), "but the job asks for abab"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, plan := network(t, c.start)
			_, _, err := Start(&spec.Start, writeFile(t, c.tensors...), plan)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if err := spec.Explain(err); !strings.HasPrefix(err.Error(), "job.yaml:9:") {
				t.Errorf("without its place: %v", err)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	_, plan := network(t, "")
	root := writeFile(t, trunk()...)
	path := filepath.Join(root, "torn.safetensors")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"none.safetensors": "no such file", "torn.safetensors": "not a valid safetensors file", "model.pt": "model.pt is neither a .safetensors nor an .onnx file",
	} {
		if _, _, err := Start(&job.Start{Weights: file}, root, plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", file, err, want)
		}
	}
}

// The initializers of an ONNX file are weights like any others.
func TestStartFromONNX(t *testing.T) {
	text, err := proto.Marshal(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 13}}, Graph: &pb.GraphProto{
		Initializer: []*pb.TensorProto{
			{Name: "head/gamma", Dims: []int64{2}, DataType: int32(pb.TensorProto_FLOAT), FloatData: []float32{1, 2}},
			{Name: "Reshape_shape", Dims: []int64{1}, DataType: int32(pb.TensorProto_INT64), Int64Data: []int64{-1}},
		}}})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "w.onnx"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	spec, plan := network(t, `, rename: [{from: '^head/gamma$', to: body.norm.weight}]`)
	spec.Start.Weights = "w.onnx"
	_, r, err := Start(&spec.Start, root, plan)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"body.norm.weight"}, {"Reshape_shape"}}, [][]string{r.Started, r.Unused}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
