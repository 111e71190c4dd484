package nearest

import "testing"

func TestWord(t *testing.T) {
	words := []string{"lr", "beta1", "beta2", "epsilon", "epochs", "global_batch", "cross_entropy", "max_pool", "avg_pool"}
	for word, want := range map[string]string{
		"learning_rate": "lr", "leraning_rate": "lr", "eps": "epsilon", "epoch": "epochs", "epohcs": "epochs",
		"crossentropy": "cross_entropy", "CrossEntropy": "cross_entropy", "batch": "", "maxpool": "max_pool",
		"Beta1": "beta1", "": "", "zzz": "", "global": "global_batch",
	} {
		if got := Word(word, words); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	if got := DidYouMean("modle", []string{"model"}); got != `; did you mean "model"?` {
		t.Errorf("got %q", got)
	}
	if got := DidYouMean("zzz", []string{"model", ""}); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}
