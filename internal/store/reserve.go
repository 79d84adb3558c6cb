package store

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// defaultReserve is what is kept free for the day when the disk is full (R19).
const defaultReserve = 16 << 20

// reserve is a file that takes up room until the disk is full, and is removed
// then, so that what is under way can be stored to its end.
type reserve struct {
	path string
	size int64

	mu   sync.Mutex
	held bool
}

func newReserve(path string, size int64) *reserve {
	if size == 0 {
		size = defaultReserve
	}
	return &reserve{path: path, size: size}
}

// make takes the room, unless it is taken. It leaves as much again free: a
// reserve that fills the disk would be the trouble it is for.
func (r *reserve) make() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		r.held = true
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, 2*r.size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, 2*r.size))
	}
	if err == nil {
		err = f.Truncate(r.size)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(r.path))
	}
	r.held = true
	return nil
}

// free gives the room back and reports whether there was any.
func (r *reserve) free() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		return false
	}
	r.held = false
	return os.Remove(r.path) == nil
}

// low reports whether the reserve has been given up and not yet made again.
func (r *reserve) low() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.held
}
