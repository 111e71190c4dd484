package nn

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// notGolden are the kinds of layers, losses, optimisers and schedules that no
// file of PyTorch's shows, and why.
func notGolden() map[string]string {
	return map[string]string{
		"dropout":         "is random: TestGradients with the same masks, TestDropout for their share",
		"spatial_dropout": "is random, like dropout",
		"gaussian_noise":  "is random, and passes gradients as they are",
		"plateau":         "follows evaluations: TestPlateau",
	}
}

// Every layer, activation, loss, optimiser and schedule of the catalogue is in a
// file of PyTorch's, and every one of the first three, and every recipe, has its
// gradient checked. A new line of the table fails here until it has its cases.
func TestEveryKindIsChecked(t *testing.T) {
	golden, differences := goldenKinds(t), gradientKinds()
	for _, e := range Catalogue() {
		name := e.Class + " " + e.Name
		reason, exempt := notGolden()[e.Name]
		switch e.Class {
		case classMetric:
			continue
		case classRecipe:
		default:
			if golden[name] == exempt {
				t.Errorf("%s: in a golden file: %v; exempt: %v %s", name, golden[name], exempt, reason)
			}
		}
		if e.Class != classOptimizer && e.Class != classSchedule && !differences[name] {
			t.Errorf("%s: no network of TestGradients has it", name)
		}
	}
}

// goldenKinds are the entries of the catalogue that are in golden files.
func goldenKinds(t *testing.T) map[string]bool {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Model {
			kinds[classLayer+" "+n[0].(string)], kinds[classActivation+" "+n[0].(string)] = true, true
		}
		kinds[classLoss+" "+g.Loss[0].(string)] = true
		kinds[classOptimizer+" "+g.Optimizer[0].(string)] = true
		kinds[classSchedule+" "+g.Schedule[0].(string)] = true
	}
	return kinds
}

// gradientKinds are those in the networks of TestGradients.
func gradientKinds() map[string]bool {
	kinds := map[string]bool{classRecipe + " " + supervisedName: true}
	var walk func(nodes []Node)
	walk = func(nodes []Node) {
		for _, n := range nodes {
			kinds[classLayer+" "+n.Kind], kinds[classActivation+" "+n.Kind] = true, true
			for _, v := range n.Fields {
				if more, ok := v.([]Node); ok {
					walk(more)
				}
			}
		}
	}
	for _, n := range networks() {
		walk(n.spec.Model)
		walk([]Node{n.spec.Recipe})
		kinds[classLoss+" "+n.spec.Loss.Kind] = true
		kinds[classRecipe+" "+n.spec.Recipe.Kind] = true
	}
	return kinds
}
