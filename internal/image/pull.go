package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// Pull says where layers go and what they may take.
type Pull struct {
	Cache    string        // a folder of layers by digest: what was pulled whole is not pulled again
	Into     string        // an empty folder: becomes the image's root
	Limit    int64         // bytes of the image's files, at most
	Free     int64         // bytes that stay free on the disk
	Progress func(string)  // a line for people; never nil
	Pause    time.Duration // before a layer is tried again, doubled each time; 0: 1 s
}

// tries is how often a layer is pulled before the registry is given up.
const tries = 4

// Pull pulls the layers of an image and unpacks them. What it has written stays in
// Into when it fails: that is the caller's to remove.
func (i *Image) Pull(ctx context.Context, p Pull) error {
	if err := p.room(2 * i.Size); err != nil { // the layers and, at the very least, the same unpacked
		return err
	}
	tree, err := newTree(p)
	if err != nil {
		return err
	}
	defer tree.close()
	for n, l := range i.layers {
		file, err := i.fetch(ctx, p, n, l)
		if err != nil {
			return explained(i.Ref, err)
		}
		if err := unpackLayer(ctx, tree, file, l); err != nil {
			return unpacked(n, err)
		}
	}
	for _, l := range i.layers { // in use no more: the image is unpacked
		if d, err := l.Digest(); err == nil {
			os.Remove(filepath.Join(p.Cache, d.Hex))
		}
	}
	return nil
}

func unpacked(n int, err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return noSpace(err)
	}
	return &Error{Kind: Malformed, Saw: fmt.Sprintf("layer %d cannot be unpacked: %v", n+1, err), Help: "build the image anew; docker run shows whether an engine takes it", err: err}
}

// room reports whether so many bytes can be written.
func (p Pull) room(want int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(p.Into, &st); err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	if int64(st.Bavail)*st.Bsize-p.Free < want {
		return noSpace(unix.ENOSPC)
	}
	return nil
}

// fetch brings a layer into the cache, compressed as it is, and returns its file.
// Each try reads it from its beginning and checks its digest.
func (i *Image) fetch(ctx context.Context, p Pull, n int, l v1.Layer) (string, error) {
	digest, err := l.Digest()
	if err != nil {
		return "", err
	}
	size, err := l.Size()
	if err != nil {
		return "", err
	}
	file := filepath.Join(p.Cache, digest.Hex)
	if info, err := os.Stat(file); err == nil && info.Size() == size {
		return file, nil
	}
	pause := p.Pause
	if pause == 0 {
		pause = time.Second
	}
	p.Progress(fmt.Sprintf("layer %d of %d, %s", n+1, len(i.layers), megabytes(size)))
	for try := 1; ; try++ {
		err := i.copyLayer(l, file, size)
		var known *Error
		if err == nil || try == tries || ctx.Err() != nil || errors.As(explained(i.Ref, err), &known) && known.Kind != Unreachable && known.Kind != Busy {
			return file, errors.Join(err, ctx.Err())
		}
		p.Progress(fmt.Sprintf("layer %d broke off (%v); trying again, %d of %d", n+1, err, try+1, tries))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause *= 2
	}
}

// copyLayer writes a layer to a file that has its name only when it is whole.
func (i *Image) copyLayer(l v1.Layer, file string, size int64) error {
	in, err := l.Compressed()
	if err != nil {
		return err
	}
	defer in.Close()
	part := file + ".part"
	os.Remove(part)
	defer os.Remove(part)
	// One byte more than it says: a layer that goes on is not what was pinned.
	if err := write(part, io.LimitReader(in, size+1)); err != nil {
		return err
	}
	if info, err := os.Stat(part); err != nil || info.Size() != size {
		return errors.Join(err, fmt.Errorf("the layer is not %d bytes long", size))
	}
	return os.Rename(part, file)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
