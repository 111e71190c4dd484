package dataset

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-ml/lockstep/pkg/shard"
)

// Text is a running text for a language model: a record is a window of tokens,
// and its targets are the tokens one place later.
type Text struct {
	Tokens
	// Stride is the number of tokens from one window to the next; 0 is Length, so
	// that windows do not overlap.
	Stride int
}

// textFormat is the catalogue's entry.
func textFormat() Format {
	fields := append(filesFields("path"), tokenFields("char", 128)...)
	return Format{
		Name:    "text",
		Summary: "a running text for a language model: windows of characters or words, each predicting the next; a fraction takes the end; .gz or not",
		Fields: append(fields,
			Field{Name: "stride", Type: typeInt, Default: int64(0), Min: 0, Max: 1 << 16, Summary: "tokens from one window to the next; 0 is length: no overlap"}),
		decode: func(v values, _ func(field, format string, args ...any)) Options {
			return &Text{Tokens: decodeTokens(v), Stride: int(v.int("stride"))}
		},
	}
}

// textRun is how many bytes of text are cut into tokens at a time.
const textRun = 1 << 16

func (o *Text) fit(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	t := o.Tokens.withDefaults("char", 128)
	c := &counter{tokens: t}
	err := o.scan(ctx, e, s, func(run string, src *source) error {
		if err := c.add(run); err != nil {
			return src.bad("%v", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.Fit.Vocabulary = c.vocabulary()
	n := len(m.Fit.Vocabulary)
	shape := []int{t.Length}
	m.Input = shard.Input{Shape: shape, Tokens: n, Target: shard.Target{Kind: shard.Class, Classes: n, Shape: shape}}
	m.Planes = []shard.Plane{
		{Role: shard.RoleTokens, Type: tokenType(n), Count: t.Length},
		{Role: shard.RoleClass, Type: tokenType(n), Count: t.Length},
	}
	return nil, nil
}

func (o *Text) inputs(*shard.Manifest) (shard.Plane, error) {
	return shard.Plane{}, errors.New("a running text is no list of records to predict; lockstep generate continues it")
}

func (o *Text) load(ctx context.Context, e *env, s split, m *shard.Manifest) (*table, error) {
	t := o.Tokens.withDefaults("char", 128)
	stride := o.Stride
	if stride == 0 {
		stride = t.Length
	}
	enc := newEncoder(t, m.Fit.Vocabulary)
	size := m.Planes[0].Type.Size()
	var window []byte // coded tokens from the beginning of the next record
	skip := 0         // tokens to leave out before it
	return e.fill(s.files.Path, m, func(put func(planes ...[]byte) error) error {
		return o.scan(ctx, e, s, func(run string, _ *source) error {
			var err error
			t.each(run, func(tok string) bool {
				if skip > 0 {
					skip--
					return true
				}
				window = appendToken(window, size, enc.token(tok))
				if len(window) == (t.Length+1)*size {
					err = put(window[:t.Length*size], window[size:])
					skip = max(0, stride-t.Length-1)
					window = window[:copy(window, window[min(stride*size, len(window)):])]
				}
				return err == nil
			})
			return err
		})
	})
}

func appendToken(b []byte, size int, token int32) []byte {
	if size == 2 {
		return binary.LittleEndian.AppendUint16(b, uint16(token))
	}
	return binary.LittleEndian.AppendUint32(b, uint32(token))
}

// scan calls f with the text of a split, run after run; a run ends at white space
// if there is any in it, so that no word is cut. A part counts characters.
func (o *Text) scan(ctx context.Context, e *env, s split, f func(run string, src *source) error) error {
	src, err := e.open(s.path, s.files.Path)
	if err != nil {
		return err
	}
	defer src.Close()
	lo, hi, err := src.characters(ctx, s.part)
	if err != nil {
		return err
	}
	r, err := src.reader(ctx)
	if err != nil {
		return err
	}
	skipBOM(r)
	var run strings.Builder
	for i := int64(0); i < hi; i++ {
		c, n, err := r.ReadRune()
		if err != nil {
			return src.unreadable(err)
		}
		if c == utf8.RuneError && n == 1 {
			return src.bad("character %d is not UTF-8; convert the file", i)
		}
		if i < lo {
			continue
		}
		run.WriteRune(c)
		if run.Len() >= textRun && (c == ' ' || c == '\n') || run.Len() >= 2*textRun {
			if err := f(run.String(), src); err != nil {
				return err
			}
			run.Reset()
		}
	}
	if run.Len() == 0 {
		return nil
	}
	return f(run.String(), src)
}

// characters returns which characters of the file are the part.
func (s *source) characters(ctx context.Context, p part) (lo, hi int64, err error) {
	r, err := s.reader(ctx)
	if err != nil {
		return 0, 0, err
	}
	skipBOM(r)
	n, err := countRunes(r)
	if err != nil {
		return 0, 0, s.unreadable(err)
	}
	lo, hi = p.cut(n)
	if hi <= lo {
		return 0, 0, s.bad("has no text for this set (%d characters); check skip, take and fraction", n)
	}
	return lo, hi, nil
}

func countRunes(r *bufio.Reader) (int64, error) {
	for n := int64(0); ; n++ {
		if _, _, err := r.ReadRune(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
