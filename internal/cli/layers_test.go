package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Programs read one list of objects that all have a name, a kind, fields, which
// may be an empty list, and a summary; layers also say what becomes of shapes.
func TestLayersForPrograms(t *testing.T) {
	out, err := typed(t, "layers", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Name, Kind, Summary, Shapes string
		Fields                      *[]map[string]any
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, e := range all {
		kinds[e.Kind]++
		layer := e.Kind == "layer" || e.Kind == "activation"
		if e.Name == "" || e.Summary == "" || e.Fields == nil || layer != (e.Shapes != "") {
			t.Errorf("%+v", e)
		}
	}
	for _, kind := range strings.Fields("layer activation loss optimizer schedule metric augmentation recipe") {
		if kinds[kind] < 5 {
			t.Errorf("%d of kind %s", kinds[kind], kind)
		}
	}
	if out, err := typed(t, "layers"); err != nil || !strings.Contains(out, "filters=? kernel=3") || !strings.Contains(out, "(a, b) -> (b, a)") {
		t.Errorf("%v: the list has no defaults or no shapes:\n%s", err, out)
	}
}

func TestLayersNamesTheNearest(t *testing.T) {
	for given, want := range map[string]string{"dens": `did you mean "dense"?`, "conv": `did you mean "conv`, "zebra": "lockstep layers lists all"} {
		_, err := typed(t, "layers", given)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want a usage error with %q", given, err, want)
		}
	}
}
