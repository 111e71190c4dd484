// Package nearest finds the word that a user most likely meant, for the "did you
// mean" at the end of a message.
//
// A word is near if at most a third of its letters (one at least) must be
// inserted, removed, replaced or swapped with their neighbour to get there;
// capitals, blanks, _ and - do not count. Failing that, a word is near that
// begins with it, that it begins with, or that it abbreviates ("lr" and
// "learning_rate"). The cost is the product of the lengths for each word known.
package nearest

import (
	"fmt"
	"strings"
)

// DidYouMean is `; did you mean "x"?` for the nearest of the known words, or
// nothing if none is near.
func DidYouMean(word string, known []string) string {
	if near := Word(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Word returns the nearest of the known words, the first of equals, or "" if none
// is near.
func Word(word string, known []string) string {
	word = fold(word)
	best, least := "", max(len(word)/3, 1)+1
	for _, k := range known {
		if d := distance(word, fold(k)); d < least {
			best, least = k, d
		}
	}
	if best != "" || word == "" {
		return best
	}
	for _, k := range known {
		if f := fold(k); f != "" && (strings.HasPrefix(f, word) || strings.HasPrefix(word, f) || abbreviates(f, word) || abbreviates(word, f)) {
			return k
		}
	}
	return ""
}

// fold takes away what people write differently.
func fold(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
}

// abbreviates reports whether short has at least two letters, begins like
// long and has its letters in the order of long.
func abbreviates(short, long string) bool {
	if len(short) < 2 || len(long) < len(short) || short[0] != long[0] {
		return false
	}
	for i := 0; i < len(short); i++ {
		j := strings.IndexByte(long, short[i])
		if j < 0 {
			return false
		}
		long = long[j+1:]
	}
	return true
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour to make a into b (optimal string alignment).
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
