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

// fetch brings a layer into the cache, compressed as it is, and returns its file, open.
// Each try reads it from its beginning and checks its digest.
func (i *Image) fetch(ctx context.Context, p Pull, n int, l v1.Layer) (*os.File, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	size, err := l.Size()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(p.Cache, digest.Hex)
	f, whole, err := open(ctx, file, size)
	if err != nil || whole {
		return f, err
	}
	pause := p.Pause
	if pause == 0 {
		pause = time.Second
	}
	p.Progress(fmt.Sprintf("layer %d of %d, %s", n+1, len(i.layers), megabytes(size)))
	for try := 1; ; try++ {
		err := i.copyLayer(l, f, file, size)
		var known *Error
		if err == nil || try == tries || ctx.Err() != nil || errors.As(explained(i.Ref, err), &known) && known.Kind != Unreachable && known.Kind != Busy {
			if err = errors.Join(err, ctx.Err()); err != nil {
				os.Remove(file + partly) // nobody else may have it while it is open here
				f.Close()
				return nil, err
			}
			return f, nil
		}
		p.Progress(fmt.Sprintf("layer %d broke off (%v); trying again, %d of %d", n+1, err, try+1, tries))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause *= 2
	}
}

// open returns a layer's file: the whole one, or what is to become it, which nobody else
// writes to while it is open. Services of one image are pulled at once, and so are images
// that share a layer: who comes second waits for the first, and has its file, though the first
// may have removed it by then.
func open(ctx context.Context, file string, size int64) (f *os.File, whole bool, err error) {
	const again = 20 * time.Millisecond
	for {
		if f, err := os.Open(file); err == nil {
			if info, err := f.Stat(); err == nil && info.Size() == size {
				return f, true, nil
			}
			f.Close()
		}
		if f, err = os.OpenFile(file+partly, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return nil, false, err
		}
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil && isNamed(f, file+partly) {
			return f, false, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, false, fmt.Errorf("lock a layer: %w", err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// partly ends the name of a layer that is not whole.
const partly = ".part"

// isNamed reports whether an open file still has a name.
func isNamed(f *os.File, name string) bool {
	have, err := f.Stat()
	there, terr := os.Stat(name)
	return err == nil && terr == nil && os.SameFile(have, there)
}

// copyLayer writes a layer to f, which has its name only when it is whole.
func (i *Image) copyLayer(l v1.Layer, f *os.File, file string, size int64) error {
	in, err := l.Compressed()
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	// One byte more than it says: a layer that goes on is not what was pinned.
	n, err := io.Copy(f, io.LimitReader(in, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the layer is not %d bytes long", size)
	}
	if err != nil {
		return errors.Join(err, f.Truncate(0)) // it takes no room meanwhile
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return os.Rename(file+partly, file)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
