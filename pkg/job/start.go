package job

import (
	"fmt"
	"regexp"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Start says where first values of parameters come from that are not drawn. The
// zero value says that all are drawn.
type Start struct {
	// Weights is a file of tensors; a relative path begins at the job's data root.
	Weights string
	// SHA256 (hex) is that of the file; empty if any will do.
	SHA256 string
	// Rename are applied to the names of the file's tensors, one after the other.
	Rename []Rename
	// Skip are the names of tensors in the file that are left out; each must match
	// a whole name.
	Skip []*regexp.Regexp
}

// Rename replaces what From matches in a name by To, in which $1 is what the
// first group of From matched.
type Rename struct {
	From *regexp.Regexp
	To   string
}

// Name is what the tensor called name in the file is called in the network; ok
// is false if it is skipped.
func (s *Start) Name(name string) (out string, ok bool) {
	for _, skip := range s.Skip {
		if skip.MatchString(name) {
			return "", false
		}
	}
	for _, r := range s.Rename {
		name = r.From.ReplaceAllString(name, r.To)
	}
	return name, true
}

// renamesType is a list of mappings with from and to.
const renamesType = "list of {from, to}"

func startFields() []nn.Field {
	return []nn.Field{
		{Name: "weights", Type: textType, Required: true,
			Summary: "a .safetensors or .onnx file; tensors that the network has by name start from it, the others are drawn"},
		{Name: "sha256", Type: textType,
			Summary: "the file must have this checksum; filled in when the job is submitted, so that all workers start alike"},
		{Name: "skip", Type: textsType,
			Summary: "regular expressions of whole names in the file that are left out, say a head for other classes"},
		{Name: "rename", Type: renamesType,
			Summary: "replaces what the regular expression from matches in names of the file by to, where $1 is its first group"},
	}
}

func renameFields() []nn.Field {
	return []nn.Field{
		{Name: "from", Type: textType, Required: true, Summary: "a regular expression"},
		{Name: "to", Type: textType, Required: true, Summary: "what takes its place"},
	}
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// start reads the weights to start from.
func (d *decoder) start(s *Spec, n *node) {
	values := d.fields(n, "start", startFields())
	s.Start.Weights, _ = values["weights"].(string)
	s.Start.SHA256, _ = values["sha256"].(string)
	if s.Start.SHA256 != "" && !sha256Form.MatchString(s.Start.SHA256) {
		d.add(n.locate("sha256"), "start.sha256: expected 64 digits of 0-9 and a-f, got %q", s.Start.SHA256)
	}
	s.Start.Skip = d.patterns(n, "start", "skip", values["skip"])
	s.Start.Rename, _ = values["rename"].([]Rename)
}

// renames reads a list of mappings with from and to.
func (d *decoder) renames(n *node, path string) ([]Rename, bool) {
	if n.kind != listKind {
		d.add(n.at, "%s: expected a list of mappings with from and to, got %s", path, n.describe())
		return nil, false
	}
	var out []Rename
	for i, item := range n.items {
		where := fmt.Sprintf("%s[%d]", path, i)
		values := d.fields(item, where, renameFields())
		from, ok := values["from"].(string)
		to, _ := values["to"].(string)
		if !ok {
			continue
		}
		if e := d.pattern(item.locate("from"), where+".from", from, false); e != nil {
			out = append(out, Rename{From: e, To: to})
		}
	}
	return out, true
}

// patterns compiles the regular expressions of whole names in a field of n.
func (d *decoder) patterns(n *node, where, key string, value any) []*regexp.Regexp {
	var out []*regexp.Regexp
	for i, text := range textsOf(value) {
		if e := d.pattern(n.locate(fmt.Sprintf("%s[%d]", key, i)), join(where, key), text, true); e != nil {
			out = append(out, e)
		}
	}
	return out
}

// pattern compiles a regular expression, one of whole names if whole, and
// reports one that is none.
func (d *decoder) pattern(at place, path, text string, whole bool) *regexp.Regexp {
	e, err := regexp.Compile(text)
	if err == nil && whole {
		e, err = regexp.Compile(`^(?:` + text + `)$`)
	}
	if err != nil {
		d.add(at, "%s: %v", path, err)
		return nil
	}
	return e
}

// PinWeights notes the checksum (hex) of the file to start from, so that whoever
// reads the canonical form takes no other file. It does nothing if the job names
// no such file.
func (s *Spec) PinWeights(sha256 string) {
	start := s.source.root.field("start")
	if start == nil || start.kind != mappingKind {
		return
	}
	s.Start.SHA256 = sha256
	start.put(seg{key: "sha256", index: -1}, start.at, &node{kind: scalarKind, at: start.at, value: sha256})
}
