package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/dataset"
	"github.com/lockstep-ml/lockstep/pkg/job"
	"github.com/lockstep-ml/lockstep/pkg/nn"
)

// longestPrompt bounds what is read of standard input, in bytes.
const longestPrompt = 16 << 20

// generating is what generate was asked for.
type generating struct {
	prompt string
	length int
	choice nn.Choice
	json   bool
}

func newGenerate(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}, split: "train"}
	g := generating{choice: nn.Choice{First: dataset.FirstText}}
	cmd := &cobra.Command{
		Use:   "generate MODEL --job FILE",
		Short: "Let a language model continue a text",
		Long: `Let a language model, trained on data of "format: text", continue a prompt. The
prompt is printed, then token after token as it is made. The same model, prompt, seed
and flags give the same text on every machine.

The model reads the last tokens of the text, as many as data.length of the job says;
each new token costs a forward pass of them. It must say at every position which
token comes next, and must not look ahead: attention is causal, recurrent layers go
one way. A prompt may have only characters or words of the training text; without a
prompt the text begins as if after a line break, or after a full stop if the
vocabulary has no line break.

The model file holds the vocabulary; the training data are read only if another
program wrote the file. With --json one object is printed: job, prompt, text (what
follows the prompt), tokens, seed, weights_sha256.`,
		Example: `  lockstep generate shakespeare-gpt.safetensors --job examples/shakespeare-gpt/job.yaml --prompt "ROMEO:"
  lockstep generate shakespeare-gpt.safetensors --job examples/shakespeare-gpt/job.yaml --temperature 0.5 --seed 2 --prompt - < beginning.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.check(); err != nil {
				return err
			}
			u.path = args[0]
			m, coder, err := u.openText(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			if g.prompt == "-" {
				if g.prompt, err = readPrompt(cmd.Context(), cmd.InOrStdin()); err != nil {
					return err
				}
			}
			return g.run(cmd.Context(), cmd.OutOrStdout(), m, coder)
		},
	}
	u.addJob(cmd)
	u.addThreads(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&g.prompt, "prompt", "p", "", "text to continue; - reads standard input")
	flags.IntVar(&g.length, "length", 500, "tokens to add")
	flags.Float64Var(&g.choice.Temperature, "temperature", 0.8, "1 draws as the model says; less takes likely tokens more often, 0 the likeliest always")
	flags.IntVar(&g.choice.TopK, "top-k", 0, "draw among that many of the likeliest; 0 for all")
	flags.Uint64Var(&g.choice.Seed, "seed", 0, "decides what is drawn")
	addJSON(cmd, &g.json)
	return cmd
}

// check says what is wrong with what was asked for, whatever the model.
func (g *generating) check() error {
	switch {
	case g.length < 1:
		return usageError{fmt.Errorf("--length %d: give a number of tokens, at least 1", g.length)}
	case !(g.choice.Temperature >= 0) || math.IsInf(g.choice.Temperature, 0):
		return usageError{fmt.Errorf("--temperature %v: give a number, at least 0", g.choice.Temperature)}
	case g.choice.TopK < 0:
		return usageError{fmt.Errorf("--top-k %d: give a number of tokens, 0 for all", g.choice.TopK)}
	}
	return nil
}

// openText opens a model of text. Its file says what has to be known of the data;
// they are read if it is of another program.
func (u *modelUse) openText(ctx context.Context) (*model, *dataset.Coder, error) {
	file, err := u.read()
	if err != nil {
		return nil, nil, err
	}
	spec, _, err := u.job.read()
	if err != nil {
		return nil, nil, err
	}
	text, ok := spec.Data.Options.(*dataset.Text)
	if !ok {
		return nil, nil, usageError{fmt.Errorf("%s has no text to continue: its data have format: %s, not format: text", u.job.path, spec.Data.Format)}
	}
	c, err := u.fitted(spec, file)
	if err != nil {
		return nil, nil, err
	}
	if c == nil {
		m, err := u.open(ctx)
		if err != nil {
			return nil, nil, err
		}
		coder, err := text.Coder(m.manifest)
		return m, coder, err
	}
	coder, err := text.Coder(c.train)
	if err != nil {
		return nil, nil, u.otherData(err.Error())
	}
	m := &model{checked: c, sha256: file.sha256, manifest: c.train}
	return m, coder, u.build(m, file.tensors, 1, 1)
}

// readPrompt reads all of in, unless ctx ends before.
func readPrompt(ctx context.Context, in io.Reader) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(in, longestPrompt+1))
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case r := <-done:
		if r.err == nil && len(r.text) > longestPrompt {
			return "", usageError{fmt.Errorf("the prompt is longer than %d bytes", longestPrompt)}
		}
		return strings.TrimPrefix(string(r.text), "\ufeff"), r.err // a byte order mark, as some editors write
	}
}

// run prints the prompt and what follows.
func (g *generating) run(ctx context.Context, out io.Writer, m *model, coder *dataset.Coder) error {
	tokens, err := coder.Encode(g.prompt)
	if err != nil {
		return usageError{fmt.Errorf("--prompt: %w", err)}
	}
	if len(tokens) == 0 {
		tokens = []int32{coder.Beginning()}
	}
	generator, err := nn.NewGenerator(m.trainer, g.choice, tokens)
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", m.spec.Name, err)}
	}
	if g.json {
		var text strings.Builder
		if err := g.write(ctx, &text, generator, coder); err != nil {
			return err
		}
		return jsonLine(out, generated{m.spec.Name, g.prompt, text.String(), g.length, g.choice.Seed, m.sha256})
	}
	if _, err := io.WriteString(out, g.prompt); err != nil {
		return err
	}
	err = g.write(ctx, out, generator, coder)
	_, ended := fmt.Fprintln(out)
	return errors.Join(err, ended)
}

// write writes each token when it is there.
func (g *generating) write(ctx context.Context, out io.Writer, generator *nn.Generator, coder *dataset.Coder) error {
	last := g.prompt
	for range g.length {
		if err := ctx.Err(); err != nil {
			return err
		}
		token, err := generator.Next()
		if err != nil {
			return err
		}
		last = coder.Text(last, token)
		if _, err := io.WriteString(out, last); err != nil {
			return err
		}
	}
	return nil
}

// generated is what generate --json prints.
type generated struct {
	Job           string `json:"job"`
	Prompt        string `json:"prompt"`
	Text          string `json:"text"`
	Tokens        int    `json:"tokens"`
	Seed          uint64 `json:"seed"`
	WeightsSHA256 string `json:"weights_sha256"`
}
