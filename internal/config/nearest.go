package config

import "fmt"

// didYouMean proposes the known word nearest to word, if one is near: at most a
// third of its letters (rounded up), and never more than three, may differ.
func didYouMean(word string, known []string) string {
	best, least := "", min((len(word)+2)/3, 3)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the least number of letters to insert, delete or replace to turn
// a into b (Levenshtein), in len(a)*len(b) steps.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
