package weights

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/internal/onnx"
	"github.com/lockstep-ml/lockstep/internal/safetensors"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Report says what became of the tensors, by name.
type Report struct {
	// File is the file as the job names it, SHA256 its checksum, hex.
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	// Started are tensors of the network that start from the file, Drawn those that
	// do not; both in the order of the model.
	Started []string `json:"started"`
	Drawn   []string `json:"drawn"`
	// Unused are tensors of the file, by their names there, that the network does
	// not have or the job skips.
	Unused []string `json:"unused"`
}

// Error is what is wrong with the start section of a job or its file.
type Error struct {
	Path string // the field of the job
	Msg  string
}

// Error joins path and message.
func (e *Error) Error() string { return e.Path + ": " + e.Msg }

// FieldPath returns the field of the job and the message without it.
func (e *Error) FieldPath() (path, message string) { return e.Path, e.Msg }

func bad(path, format string, args ...any) error {
	return &Error{Path: path, Msg: fmt.Sprintf(format, args...)}
}

// Start reads the file that the start section of a job names and returns the
// plan that starts from it. Without such a section it returns the plan as it is,
// and no report. Errors are *Error: job.Spec.Explain knows their place.
func Start(s *job.Start, root string, plan *nn.Plan) (*nn.Plan, *Report, error) {
	if s.Weights == "" {
		return plan, nil, nil
	}
	tensors, sum, err := read(s.Weights, root)
	if err != nil {
		return nil, nil, err
	}
	if s.SHA256 != "" && sum != s.SHA256 {
		return nil, nil, bad("start.sha256", "%s has the checksum %s, but the job asks for %s; restore the file, or remove sha256 and submit the job again",
			s.Weights, sum, s.SHA256)
	}
	r := &Report{File: s.Weights, SHA256: sum, Started: []string{}, Drawn: []string{}, Unused: []string{}}
	used, err := r.match(s, tensors, plan.Tensors())
	if err != nil {
		return nil, nil, err
	}
	out, err := plan.StartFrom(used)
	if err != nil {
		return nil, nil, bad("start", "%v", err)
	}
	return out, r, nil
}

// read reads a file of tensors to its end.
func read(name, root string) ([]safetensors.Tensor, string, error) {
	decode, ok := map[string]func(io.Reader) ([]safetensors.Tensor, error){".safetensors": ofSafetensors, ".onnx": ofONNX}[filepath.Ext(name)]
	if !ok {
		return nil, "", bad("start.weights", "%s is neither a .safetensors nor an .onnx file", name)
	}
	path := filepath.FromSlash(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", bad("start.weights", "%v", err)
	}
	defer f.Close() // read only: nothing can be lost
	h := sha256.New()
	tensors, err := decode(io.TeeReader(bufio.NewReaderSize(f, 64<<10), h))
	if err != nil {
		return nil, "", bad("start.weights", "%s: %v", path, err)
	}
	return tensors, hex.EncodeToString(h.Sum(nil)), nil
}

func ofSafetensors(r io.Reader) ([]safetensors.Tensor, error) {
	tensors, _, err := safetensors.Read(r)
	return tensors, err
}

func ofONNX(r io.Reader) ([]safetensors.Tensor, error) {
	m, err := onnx.Read(r)
	if err != nil {
		return nil, err
	}
	return m.Tensors(), nil
}

// match pairs the tensors of the file with those of the network, and returns
// the former by the names of the latter.
func (r *Report) match(s *job.Start, file []safetensors.Tensor, network []nn.Tensor) ([]nn.Tensor, error) {
	shapes := map[string][]int{}
	for _, t := range network {
		shapes[t.Name] = t.Shape
	}
	var used []nn.Tensor
	var wrong []string
	sources := map[string]string{}
	for _, t := range file {
		name, ok := s.Name(t.Name)
		want, has := shapes[name]
		switch {
		case !ok || !has || t.F32 == nil:
			if ok && strings.HasSuffix(t.Name, "num_batches_tracked") {
				continue // a counter of PyTorch's batch-norm, which no network of ours has
			}
			r.Unused = append(r.Unused, t.Name)
		case sources[name] != "":
			wrong = append(wrong, fmt.Sprintf("%s and %s would both start %s", sources[name], t.Name, name))
		case !slices.Equal(t.Shape, want):
			wrong = append(wrong, fmt.Sprintf("%s has shape %s, but %s of the network has %s", t.Name, shape(t.Shape), name, shape(want)))
		default:
			used = append(used, nn.Tensor{Name: name, Shape: t.Shape, F32: t.F32})
		}
		sources[name] = t.Name
	}
	if len(wrong) > 0 {
		return nil, bad("start.weights", "%s does not fit the network: %s; rename or skip what does not belong to it", s.Weights, abbreviate(wrong))
	}
	for _, t := range network {
		if slices.ContainsFunc(used, func(u nn.Tensor) bool { return u.Name == t.Name }) {
			r.Started = append(r.Started, t.Name)
		} else {
			r.Drawn = append(r.Drawn, t.Name)
		}
	}
	if len(used) == 0 {
		return nil, bad("start.weights", "no tensor of %s has a name of the network; the file has %s; the network has %s; name the layers alike or use rename",
			s.Weights, abbreviate(r.Unused), abbreviate(r.Drawn))
	}
	return used, nil
}

// Lines says what became of the tensors, for people.
func (r *Report) Lines() []string {
	lines := []string{fmt.Sprintf("start: %d of %d tensors of the network come from %s", len(r.Started), len(r.Started)+len(r.Drawn), r.File)}
	if len(r.Drawn) > 0 {
		lines = append(lines, "start: not in the file, so drawn: "+abbreviate(r.Drawn))
	}
	if len(r.Unused) > 0 {
		lines = append(lines, "start: in the file, but not used: "+abbreviate(r.Unused))
	}
	return lines
}

// most is how many names a list shows.
const most = 12

func abbreviate(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

func shape(dims []int) string {
	words := make([]string, len(dims))
	for i, d := range dims {
		words[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(words, ", ") + ")"
}
