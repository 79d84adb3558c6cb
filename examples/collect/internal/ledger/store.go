package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrClosed is returned once a store is closed, or its file could not be written.
var ErrClosed = errors.New("the ledger is closed")

// Store is a book in a file. What Append has returned is on disk. Several processes may
// have the same file open, as two versions of the service do during a release: whoever
// writes holds a lock and has first read what the others wrote.
type Store struct {
	file *os.File
	now  func() time.Time
	asks chan *ask
	stop chan struct{} // closed by Close
	done chan struct{} // the writer has ended

	mu     sync.Mutex
	book   *book
	size   int64 // bytes of the file that are in the book
	broken error // the file could not be written: nothing is answered any more
	closed bool
}

// ask is one entry that waits for the writer.
type ask struct {
	entry  Entry
	kept   Entry
	pickup Pickup
	again  bool
	err    error
	over   chan struct{} // closed when the fields above are set
}

const (
	name      = "ledger.jsonl" // of the file in the store's folder
	mostAsked = 256            // entries that are written at once
)

// OpenStore reads the book in dir. A last line that a crash cut off was acknowledged
// to nobody, and is removed.
func OpenStore(dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	s := &Store{file: file, now: now, book: newBook(), asks: make(chan *ask, mostAsked), stop: make(chan struct{}), done: make(chan struct{})}
	if err := s.locked(func() error { return nil }); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger %s: %w", file.Name(), err), file.Close())
	}
	if err := syncFolder(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger: %w", err), file.Close())
	}
	go s.write()
	return s, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// locked does something with the book as it is in the file, which nobody else writes
// meanwhile. s.mu is not held during it.
func (s *Store) locked(do func() error) (err error) {
	if err := syscall.Flock(int(s.file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	defer func() { err = errors.Join(err, syscall.Flock(int(s.file.Fd()), syscall.LOCK_UN)) }()
	s.mu.Lock()
	err = s.catchUp()
	size := s.size
	s.mu.Unlock()
	if err != nil {
		return err
	}
	// With the lock held, what follows the last whole line is of a process that died.
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	return do()
}

// catchUp reads whole lines that others have written. s.mu is held.
func (s *Store) catchUp() error {
	text, err := io.ReadAll(io.NewSectionReader(s.file, s.size, 1<<62))
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for line := range bytes.Lines(text[:whole]) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d is no entry: %w", s.book.summary.Entries+1, err)
		}
		s.book.add(e)
	}
	s.size += int64(whole)
	return nil
}

// Append writes an entry and returns it, with the pickup as it then is. Where its
// request has one already, that is returned and again is true. The error is one of the
// book's, or says that the file cannot be written. Who leaves before it is answered may
// ask again.
func (s *Store) Append(ctx context.Context, e Entry) (kept Entry, p Pickup, again bool, err error) {
	a := &ask{entry: e, over: make(chan struct{})}
	select {
	case s.asks <- a:
	case <-s.stop:
		return Entry{}, Pickup{}, false, ErrClosed
	case <-ctx.Done():
		return Entry{}, Pickup{}, false, ctx.Err()
	}
	select {
	case <-a.over:
		return a.kept, a.pickup, a.again, a.err
	case <-s.done:
		return Entry{}, Pickup{}, false, ErrClosed
	case <-ctx.Done():
		return Entry{}, Pickup{}, false, ctx.Err()
	}
}

// write answers what is asked until the store is closed, all that has come meanwhile with
// one write to disk.
func (s *Store) write() {
	defer close(s.done)
	for {
		var round []*ask
		select {
		case a := <-s.asks:
			round = append(round, a)
		case <-s.stop:
			return
		}
		for len(round) < mostAsked {
			select {
			case a := <-s.asks:
				round = append(round, a)
				continue
			default:
			}
			break
		}
		s.round(round)
		for _, a := range round {
			close(a.over)
		}
	}
}

// round writes the entries of some asks, or says why not.
func (s *Store) round(asks []*ask) {
	s.mu.Lock()
	err := s.broken
	s.mu.Unlock()
	if err == nil {
		err = s.locked(func() error { return s.put(asks) })
		if err != nil {
			err = fmt.Errorf("write the ledger: %w", err)
			s.mu.Lock()
			s.broken = err // the book may be ahead of the file
			s.mu.Unlock()
		}
	}
	if err != nil {
		for _, a := range asks {
			a.kept, a.pickup, a.err = Entry{}, Pickup{}, err
		}
	}
}

// put decides about asks and brings what is new to disk. The lock is held.
func (s *Store) put(asks []*ask) error {
	s.mu.Lock()
	var lines []byte
	for _, a := range asks {
		old, err := s.book.check(a.entry)
		switch {
		case err != nil:
			a.err = err
		case old != nil:
			a.kept, a.again = *old, true
		default:
			e := a.entry
			e.Seq, e.At = s.book.summary.Entries+1, s.now().UTC()
			line, err := json.Marshal(e)
			if err != nil {
				a.err = fmt.Errorf("write the entry: %w", err)
				continue
			}
			lines = append(append(lines, line...), '\n')
			s.book.add(e)
			a.kept = e
		}
		if p := s.book.pickups[a.entry.Pickup]; p != nil {
			a.pickup = p.copy()
		}
	}
	at := s.size
	s.size += int64(len(lines))
	s.mu.Unlock()
	if len(lines) == 0 {
		return nil
	}
	if _, err := s.file.WriteAt(lines, at); err != nil {
		return err
	}
	return s.file.Sync()
}

// look reads the book, with what other processes have written.
func (s *Store) look(read func(b *book)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if !s.closed {
		// While this process writes, the file is behind the book, or even with it.
		if err := s.catchUp(); err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
	}
	read(s.book)
	return nil
}

// Pickup returns one.
func (s *Store) Pickup(id string) (p Pickup, err error) {
	err = ErrUnknown
	failed := s.look(func(b *book) {
		if found := b.pickups[id]; found != nil {
			p, err = found.copy(), nil
		}
	})
	if failed != nil {
		return Pickup{}, failed
	}
	if err != nil {
		return Pickup{}, fmt.Errorf("%w: %s", err, id)
	}
	return p, nil
}

// Find lists pickups.
func (s *Store) Find(q Query) (all []Pickup, err error) {
	err = s.look(func(b *book) { all = b.find(q) })
	return all, err
}

// Entries lists at most limit entries after one.
func (s *Store) Entries(after int64, limit int) (page []Entry, err error) {
	err = s.look(func(b *book) {
		from := min(max(after, 0), int64(len(b.entries)))
		page = append([]Entry{}, b.entries[from:min(from+int64(limit), int64(len(b.entries)))]...)
	})
	return page, err
}

// Summary is the book in figures.
func (s *Store) Summary() (sum Summary, err error) {
	err = s.look(func(b *book) { sum = b.figures() })
	return sum, err
}

// Close ends the writer. What it has begun is written; later entries are refused.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	close(s.stop)
	<-s.done
	return s.file.Close()
}
