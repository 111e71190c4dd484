package job

import (
	"slices"
	"strings"
)

// suggest ends a message about a word that is not one of valid: with the
// nearest of them, or if none is near, with all.
func suggest(word string, valid []string) string {
	if near := nearest(word, valid); near != "" {
		return `; did you mean "` + near + `"?`
	}
	if len(valid) == 0 {
		return ""
	}
	sorted := slices.Clone(valid)
	slices.Sort(sorted)
	return "; expected one of " + strings.Join(sorted, ", ")
}

// nearest returns the valid word that the user most likely meant: the one of
// least edit distance if that is at most a third of the word, else one that
// the word begins with, is the beginning of, or abbreviates ("lr" and
// "learning_rate"). It returns "" if there is none.
func nearest(word string, valid []string) string {
	word = fold(word)
	best, least := "", max(len(word)/3, 1)+1
	for _, v := range valid {
		if d := distance(word, fold(v)); d < least {
			best, least = v, d
		}
	}
	if best != "" || word == "" {
		return best
	}
	for _, v := range valid {
		if f := fold(v); strings.HasPrefix(f, word) || strings.HasPrefix(word, f) || abbreviates(f, word) || abbreviates(word, f) {
			return v
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
