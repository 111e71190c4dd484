package job

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// The fields that every layer has beside its own.
const (
	nameKey = "name"
	fromKey = "from"
)

// component reads one thing of the catalogue in any of its three forms:
//
//	relu                          a kind alone
//	dense: 128                    with its short field
//	dense: {units: 10, name: x}   with any fields
//
// classes are those of the catalogue that may stand here, noun is what the
// user calls them. path is where it stands. The result is empty if the kind is
// unknown.
func (d *decoder) component(n *node, path, noun string, classes ...string) nn.Node {
	kind, at, body := n.value, n.at, (*node)(nil)
	if n.kind == mappingKind && len(n.entries) == 1 {
		kind, at, body = n.entries[0].key, n.entries[0].at, n.entries[0].value
	}
	word, ok := kind.(string)
	if !ok {
		d.add(n.at, "%s: expected the name of %s, alone or with its fields (%s)%s", path, withArticle(noun), d.example(classes), d.gotInstead(n))
		return nn.Node{}
	}
	entry, ok := d.lookup(word, classes)
	if !ok {
		d.unknownKind(at, word, noun, classes)
		return nn.Node{}
	}
	if body == nil {
		d.missing(n.at, join(path, word), entry.Fields, nil)
		return nn.Node{Kind: word, Path: path}
	}
	result := nn.Node{Kind: word, Path: join(path, word), Fields: map[string]any{}}
	if body.kind == mappingKind {
		d.componentFields(&result, body, entry, noun)
		return result
	}
	d.shortField(&result, body, entry)
	return result
}

// withArticle puts a or an before a noun.
func withArticle(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// gotInstead ends the message about something that is not a component.
func (d *decoder) gotInstead(n *node) string {
	if n.kind == mappingKind && len(n.entries) > 1 {
		keys := make([]string, len(n.entries))
		for i, e := range n.entries {
			keys[i] = e.key
		}
		return "; got one mapping with " + strings.Join(keys, ", ")
	}
	return ", got " + n.describe()
}

func (d *decoder) componentFields(result *nn.Node, body *node, entry nn.Entry, noun string) {
	fields := entry.Fields
	if noun == layerNoun {
		fields = append(slices.Clone(fields), LayerFields()...)
	}
	values := d.fields(body, result.Path, fields)
	if noun == layerNoun {
		result.Name, _ = values[nameKey].(string)
		result.From = textsOf(values[fromKey])
		delete(values, nameKey)
		delete(values, fromKey)
	}
	result.Fields = values
}

// textsOf is the value of a field of texts: one, or a list.
func textsOf(value any) []string {
	list, ok := value.([]any)
	if !ok && value != nil {
		list = []any{value}
	}
	var texts []string
	for _, text := range list {
		texts = append(texts, text.(string)) // d.fields took nothing else
	}
	return texts
}

// shortField reads "dense: 128": the value of the entry's short field.
func (d *decoder) shortField(result *nn.Node, body *node, entry nn.Entry) {
	i := slices.IndexFunc(entry.Fields, func(f nn.Field) bool { return f.Short })
	switch {
	case body.kind == scalarKind && body.value == nil:
		d.missing(body.at, result.Path, entry.Fields, nil)
	case i < 0 && len(entry.Fields) == 0:
		d.add(body.at, "%s: %s has no fields, got %s; write it alone", result.Path, entry.Name, body.describe())
	case i < 0:
		d.add(body.at, "%s: expected a mapping with %s, got %s", result.Path, strings.Join(fieldNames(entry.Fields), ", "), body.describe())
	default:
		f := entry.Fields[i]
		if v, ok := d.value(body, result.Path, f); ok {
			result.Fields[f.Name] = v
		}
		d.missing(body.at, result.Path, entry.Fields, &f)
	}
}

// missing reports the required fields when none, or only given, is there.
func (d *decoder) missing(at place, where string, fields []nn.Field, given *nn.Field) {
	for _, f := range fields {
		if f.Required && (given == nil || given.Name != f.Name) {
			d.add(at, "%s: %q is missing: %s; expected %s", where, f.Name, f.Summary, expected(f))
		}
	}
}

func (d *decoder) lookup(kind string, classes []string) (nn.Entry, bool) {
	i := slices.IndexFunc(d.catalogue, func(e nn.Entry) bool {
		return e.Name == kind && slices.Contains(classes, e.Class)
	})
	if i < 0 {
		return nn.Entry{}, false
	}
	return d.catalogue[i], true
}

func (d *decoder) unknownKind(at place, kind, noun string, classes []string) {
	for _, e := range d.catalogue {
		if e.Name == kind {
			d.add(at, "%s is a kind of %s, not of %s; lockstep layers lists all there are", kind, e.Class, noun)
			return
		}
	}
	d.add(at, "unknown %s %q%s", noun, kind, suggest(kind, d.kinds(classes)))
}

func (d *decoder) kinds(classes []string) []string {
	var kinds []string
	for _, e := range d.catalogue {
		if slices.Contains(classes, e.Class) {
			kinds = append(kinds, e.Name)
		}
	}
	return kinds
}

// example shows how a component of these classes may look.
func (d *decoder) example(classes []string) string {
	for _, e := range d.catalogue {
		if slices.Contains(classes, e.Class) && len(e.Fields) > 0 {
			return fmt.Sprintf("%s: {%s: …}", e.Name, e.Fields[0].Name)
		}
	}
	return strings.Join(d.kinds(classes), ", ")
}
