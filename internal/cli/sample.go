package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-ml/lockstep/pkg/job"
)

// sampling is what sample was asked for.
type sampling struct {
	out, grid     string
	count         int
	seed          uint64
	columns, rows int // of the grid; 0: an IDX file
}

func newSample(r job.Reader) *cobra.Command {
	u := modelUse{job: jobFile{reader: r}, split: "train"}
	var s sampling
	cmd := &cobra.Command{
		Use:   "sample MODEL --job FILE --out FILE",
		Short: "Let a GAN or a variational autoencoder make new pictures",
		Long: `Let the model of a GAN or of a variational autoencoder make new pictures from
random numbers. A file that ends in .png gets a grid of them; one that ends in
.idx or -ubyte, or has no ending, becomes an IDX file, as "format: idx" reads.
Picture i depends on the model, the seed and i only: the same on every machine,
however many are made.`,
		Example: `  lockstep sample fashion-dcgan.safetensors --job examples/fashion-dcgan/job.yaml --grid 10x10 --out samples.png
  lockstep sample fashion-dcgan.safetensors --job examples/fashion-dcgan/job.yaml --count 1000 --out samples-idx3-ubyte`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(); err != nil {
				return err
			}
			u.path = args[0]
			m, err := u.open(cmd.Context())
			if err != nil {
				return err
			}
			defer m.Close()
			if err := s.write(m); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), s.out+": "+plural(s.count, "picture"))
			return err
		},
	}
	u.addJob(cmd)
	u.addThreads(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&s.out, "out", "o", "", "file to write: .png for a grid; .idx, -ubyte or no ending for IDX")
	flags.StringVar(&s.grid, "grid", "8x8", "columns and rows of the grid")
	flags.IntVar(&s.count, "count", 64, "pictures of an IDX file")
	flags.Uint64Var(&s.seed, "seed", 0, "decides which pictures")
	return cmd
}

// check says what is wrong with what was asked for, whatever the model.
func (s *sampling) check() error {
	ending := strings.ToLower(filepath.Ext(s.out))
	switch {
	case s.out == "":
		return usageError{errNoOut}
	case ending == ".png":
		var err error
		s.columns, s.rows, err = parseGrid(s.grid)
		s.count = s.columns * s.rows
		return err
	case ending != "" && ending != ".idx" && !strings.HasSuffix(ending, "-ubyte"):
		return usageError{hint{fmt.Errorf("--out %s: pictures are written as .png or IDX", s.out),
			"give a name that ends in .png, or for IDX in .idx or -ubyte, or has no ending"}}
	case s.count < 1 || s.count > mostTiles:
		return usageError{fmt.Errorf("--count %d: expected 1 to %d", s.count, mostTiles)}
	}
	return nil
}

// write makes the file.
func (s *sampling) write(m *model) error {
	p, err := pixelsOf(m.manifest)
	if err != nil {
		return err
	}
	if m.plan.Latent() == 0 {
		return usageError{hint{fmt.Errorf("%s makes nothing new: its recipe is no gan, and it has no gaussian_sample layer on which all that follows depends", m.spec.Name),
			"an autoencoder is applied to records: lockstep predict --out pictures.png"}}
	}
	if s.columns > 0 {
		return s.writeGrid(m, p)
	}
	return replaceFile(s.out, func(w io.Writer) error {
		if err := p.writeIDX(w, s.count); err != nil {
			return err
		}
		return s.each(m, func(_ int, record []float32) error {
			_, err := w.Write(p.bytes(record))
			return err
		})
	})
}

func (s *sampling) writeGrid(m *model, p pixels) error {
	g := newGrid(p, s.columns, s.rows)
	if err := s.each(m, func(i int, record []float32) error { g.put(i, record); return nil }); err != nil {
		return err
	}
	return replaceFile(s.out, g.write)
}

// each calls f with the samples.
func (s *sampling) each(m *model, f func(i int, record []float32) error) error {
	for first := 0; first < s.count; {
		n := min(s.count-first, m.maxRows())
		y, err := m.trainer.Sample(s.seed, first, n)
		if err != nil {
			return err
		}
		for i := range n {
			if err := f(first+i, y[i*len(y)/n:][:len(y)/n]); err != nil {
				return err
			}
		}
		first += n
	}
	return nil
}
