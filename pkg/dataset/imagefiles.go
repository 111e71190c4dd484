package dataset

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// imageFile is one image of a folder or archive.
type imageFile struct {
	number int64  // among the images under the folder, before skip, take and fraction
	name   string // within path
	class  string
	open   func() (io.ReadCloser, error)
}

// images calls f with the images of a split: in the order of their names in a
// folder, in the order of the archive otherwise.
func (e *env) images(ctx context.Context, s split, f func(imageFile) error) error {
	var number int64
	visit := func(name string, open func() (io.ReadCloser, error)) error {
		class, ok := classOf(name, s.files.Under)
		if !ok && !(s.unlabelled && isPicture(name)) {
			return nil
		}
		number++
		if !s.part.keep(number - 1) {
			return nil
		}
		return f(imageFile{number: number - 1, name: name, class: class, open: open})
	}
	full := fileOf(e.root, s.files.Path)
	expected := "a folder of classes, or a .tar or .tar.gz of it"
	if s.unlabelled {
		expected = "a .jpg, .jpeg or .png file, or a folder, .tar or .tar.gz of such"
	}
	info, err := os.Stat(full)
	switch {
	case err != nil: // open says it
	case info.IsDir():
		return walkImages(ctx, s, full, visit)
	case s.unlabelled && isPicture(full):
		return visit(full, func() (io.ReadCloser, error) { return os.Open(full) })
	}
	src, err := e.open(s.path, s.files.Path)
	if err != nil {
		return err
	}
	return errors.Join(src.tarImages(ctx, expected, visit), src.Close())
}

// noImages says that a split has none, and where some are.
func (e *env) noImages(ctx context.Context, s split) error {
	msg := fmt.Sprintf("has no .jpg, .jpeg or .png file in a folder of a class under %q; check path, under, skip and take", s.files.Under)
	everywhere := s
	everywhere.files.Under, everywhere.part = "", part{}
	err := e.images(ctx, everywhere, func(f imageFile) error {
		msg += "; its first image is " + f.name
		return io.EOF // enough
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return &Error{Path: s.path, File: s.files.Path, Msg: msg}
}

// classOf returns the class of an image file: the first folder below under.
func classOf(name, under string) (string, bool) {
	if !isPicture(name) {
		return "", false
	}
	rest := path.Clean(name)
	if under = path.Clean(under); under != "." {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, under+"/"); !ok {
			return "", false
		}
	}
	class, _, ok := strings.Cut(rest, "/")
	return class, ok && class != "" && class != ".."
}

// isPicture tells an image by its name. A name that begins with ._ is of what a Mac
// keeps beside a file.
func isPicture(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".png":
		return !strings.HasPrefix(path.Base(name), "._")
	}
	return false
}

// walkImages visits the files of a folder in the order of their paths.
func walkImages(ctx context.Context, s split, full string, visit func(string, func() (io.ReadCloser, error)) error) error {
	root := os.DirFS(full)
	var names []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !meets(name, s.files.Under) && d.IsDir():
			return fs.SkipDir
		case !meets(name, s.files.Under):
			return nil
		}
		regular, err := isFile(root, name, d)
		if regular {
			names = append(names, name)
		}
		return errors.Join(err, ctx.Err())
	})
	if err != nil {
		return &Error{Path: s.path, File: s.files.Path, Msg: "cannot be read: " + err.Error(), Err: err}
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(name, func() (io.ReadCloser, error) { return root.Open(name) }); err != nil {
			return err
		}
	}
	return nil
}

// meets reports whether name is on the way to under, or below it.
func meets(name, under string) bool {
	under = path.Clean(under)
	return name == "." || under == "." || strings.HasPrefix(name+"/", under+"/") || strings.HasPrefix(under+"/", name+"/")
}

// isFile reports whether an entry of a folder is a file or a link to one. A link to a
// folder is refused: it may lead back to where it is.
func isFile(root fs.FS, name string, d fs.DirEntry) (bool, error) {
	if d.Type() != fs.ModeSymlink {
		return d.Type().IsRegular(), nil
	}
	to, err := fs.Stat(root, name)
	if err != nil {
		return false, err
	}
	if to.IsDir() {
		return false, fmt.Errorf("%s is a link to a folder; put the folder itself there, or remove it", name)
	}
	return to.Mode().IsRegular(), nil
}

// errLink is of a link in an archive, which has no picture of its own there.
var errLink = errors.New("is a link; pack it with tar --dereference --hard-dereference")

// tarImages visits the files of an archive. What is expected it says of no archive.
func (s *source) tarImages(ctx context.Context, expected string, visit func(string, func() (io.ReadCloser, error)) error) error {
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	archive := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := archive.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, tar.ErrHeader) && n == 0:
			return s.bad("is no tar archive and no folder; give %s", expected)
		case err != nil:
			return s.unreadable(err)
		}
		open := func() (io.ReadCloser, error) { return io.NopCloser(archive), nil }
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeLink, tar.TypeSymlink:
			open = func() (io.ReadCloser, error) { return nil, errLink }
		default:
			continue
		}
		if err := visit(path.Clean(h.Name), open); err != nil {
			return err
		}
	}
}
