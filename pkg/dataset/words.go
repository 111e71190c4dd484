package dataset

import (
	"fmt"
	"strings"
)

// plural is "1 record", "2 records".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shape is "(1, 28, 28)".
func shape(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(s, ", ") + ")"
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// pick returns x[i], or the only x for all i, or otherwise.
func pick(x []float64, i int, otherwise float64) float64 {
	switch {
	case len(x) == 0:
		return otherwise
	case i < len(x):
		return x[i]
	}
	return x[0]
}

// channelName names channel c of n for people.
func channelName(c, n int) string {
	if n == 3 {
		return []string{"red", "green", "blue"}[c]
	}
	return fmt.Sprintf("channel %d", c)
}
