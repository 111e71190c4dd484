package job

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	intForm   = regexp.MustCompile(`^[-+]?[0-9][0-9_]*$`)
	baseForm  = regexp.MustCompile(`^0(x[0-9a-fA-F]+|o[0-7]+)$`)
	floatForm = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
)

// resolve gives a plain (unquoted) scalar its type by the core schema of YAML
// 1.2: 1e-4 is a number, yes and on are text, 012 is twelve. Underscores may
// group the digits of an integer.
func resolve(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	case ".inf", ".Inf", ".INF", "+.inf":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	}
	switch {
	case intForm.MatchString(text):
		if v := integer(strings.ReplaceAll(text, "_", ""), 10); v != nil {
			return v
		}
	case baseForm.MatchString(text):
		base := 8
		if text[1] == 'x' {
			base = 16
		}
		if v := integer(text[2:], base); v != nil {
			return v
		}
	}
	if floatForm.MatchString(text) {
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
	}
	return text
}

// integer returns an int64, a uint64 if only that holds the number, or nil.
func integer(digits string, base int) any {
	if v, err := strconv.ParseInt(digits, base, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseUint(strings.TrimPrefix(digits, "+"), base, 64); err == nil {
		return v
	}
	return nil
}

// formatScalar writes a scalar so that resolve, or a YAML reader for quoted
// text, gives the same value and type again.
func formatScalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return formatFloat(v)
	case string:
		if plainForm.MatchString(v) {
			if _, text := resolve(v).(string); text {
				return v
			}
		}
		return quote(v)
	}
	return ""
}

// plainForm is text that needs no quotes wherever it stands.
var plainForm = regexp.MustCompile(`^[A-Za-z0-9_/.][A-Za-z0-9_/.+-]*$`)

func formatFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return ".nan"
	case math.IsInf(v, 1):
		return ".inf"
	case math.IsInf(v, -1):
		return "-.inf"
	}
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
