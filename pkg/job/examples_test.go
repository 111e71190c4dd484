package job

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// Every job file that the project shows is a good one, and fits its data.
func TestExamples(t *testing.T) {
	inputs := map[string]nn.Input{
		"digits":              digits(),
		"fashion-mnist":       digits(),
		"fashion-resnet":      digits(),
		"mnist":               digits(),
		"fashion-autoencoder": digits(),
		"fashion-denoising":   digits(),
		"fashion-vae":         digits(),
		"fashion-dcgan":       digits(),
		"housing":             {Shape: []int{13}, Target: nn.Target{Kind: nn.TargetValue, Shape: []int{1}}},
	}
	files, err := filepath.Glob("../../examples/*/job.yaml")
	if err != nil || len(files) < len(inputs) {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, err := Decode(file, text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if in, known := inputs[spec.Name]; known {
				if _, err := spec.CheckInput(in, 100); err != nil {
					t.Error(err)
				}
			}
			again, err := Decode(file, spec.Canonical(), nil)
			if err != nil || string(again.Canonical()) != string(spec.Canonical()) {
				t.Errorf("the canonical form is not its own: %v\n%s", err, spec.Canonical())
			}
		})
	}
}
