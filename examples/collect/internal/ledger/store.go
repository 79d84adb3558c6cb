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
	"time"
)

// ErrClosed is returned once a store is closed, or its file could not be written.
var ErrClosed = errors.New("the ledger is closed")

// Store is a book in a file. What Append has returned is on disk.
type Store struct {
	file *os.File
	now  func() time.Time

	mu     sync.Mutex
	book   *book
	broken error  // the file could not be written: nothing is accepted any more
	buffer []byte // lines that are in the book and not yet in the file
	round  *round
	kick   chan struct{} // something is in buffer
	stop   chan struct{} // closed by Close
	done   chan struct{} // the writer has ended
}

// round is one write to disk, of everything that came while the one before it ran.
type round struct {
	over chan struct{}
	err  error // to be read once over is closed
}

func newRound() *round { return &round{over: make(chan struct{})} }

// name of the file in the store's folder.
const name = "ledger.jsonl"

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
	s := &Store{
		file: file, now: now, book: newBook(), round: newRound(),
		kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger %s: %w", file.Name(), err), file.Close())
	}
	if err := syncFolder(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger: %w", err), file.Close())
	}
	go s.write()
	return s, nil
}

// read fills the book, and leaves the file where the next line goes.
func (s *Store) read() error {
	text, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for i, line := range bytes.Split(text[:whole], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d is no entry: %w", i+1, err)
		}
		s.book.add(e)
	}
	if err := s.file.Truncate(int64(whole)); err != nil {
		return err
	}
	_, err = s.file.Seek(int64(whole), io.SeekStart)
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Append writes an entry and returns it, with the pickup as it then is. Where its
// request has one already, that is returned and again is true. The error is one of the
// book's, or says that the file cannot be written.
func (s *Store) Append(ctx context.Context, e Entry) (kept Entry, p Pickup, again bool, err error) {
	s.mu.Lock()
	if s.broken != nil {
		defer s.mu.Unlock()
		return Entry{}, Pickup{}, false, s.broken
	}
	old, err := s.book.check(e)
	if err != nil {
		defer s.mu.Unlock()
		if p := s.book.pickups[e.Pickup]; p != nil {
			return Entry{}, p.copy(), false, err
		}
		return Entry{}, Pickup{}, false, err
	}
	if again = old != nil; again {
		kept = *old
	} else {
		e.Seq, e.At = s.book.summary.Entries+1, s.now().UTC()
		line, err := json.Marshal(e)
		if err != nil {
			defer s.mu.Unlock()
			return Entry{}, Pickup{}, false, fmt.Errorf("write the entry: %w", err)
		}
		s.buffer = append(append(s.buffer, line...), '\n')
		s.book.add(e)
		kept = e
	}
	if found := s.book.pickups[e.Pickup]; found != nil {
		p = found.copy()
	}
	round := s.round // of a repeated one too: what it repeats may not be on disk yet
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
	select {
	case <-round.over:
		return kept, p, again, round.err
	case <-ctx.Done():
		return Entry{}, Pickup{}, false, ctx.Err()
	}
}

// write brings what is in the buffer to disk until the store is closed.
func (s *Store) write() {
	defer close(s.done)
	for {
		select {
		case <-s.kick:
			s.flush()
		case <-s.stop:
			s.flush()
			return
		}
	}
}

// flush writes all that has come since the last time, at once.
func (s *Store) flush() {
	s.mu.Lock()
	lines, round := s.buffer, s.round
	s.buffer, s.round = nil, newRound()
	s.mu.Unlock()
	if len(lines) > 0 {
		if _, round.err = s.file.Write(lines); round.err == nil {
			round.err = s.file.Sync()
		}
	}
	if round.err != nil {
		round.err = fmt.Errorf("write the ledger: %w", round.err)
		s.mu.Lock()
		s.broken = round.err // what follows on half a line could not be read again
		s.mu.Unlock()
	}
	close(round.over)
}

// Pickup returns one.
func (s *Store) Pickup(id string) (Pickup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.book.pickups[id]
	if p == nil {
		return Pickup{}, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	return p.copy(), nil
}

// Find lists pickups.
func (s *Store) Find(q Query) []Pickup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.find(q)
}

// Entries lists at most limit entries after one.
func (s *Store) Entries(after int64, limit int) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.book.entries
	from := min(max(after, 0), int64(len(all)))
	to := min(from+int64(limit), int64(len(all)))
	return append([]Entry{}, all[from:to]...)
}

// Summary is the book in figures.
func (s *Store) Summary() Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.figures()
}

// Close ends the writer. Entries that wait are written; later ones are refused.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := errors.Is(s.broken, ErrClosed)
	s.broken = errors.Join(ErrClosed, s.broken)
	s.mu.Unlock()
	if closed {
		return nil
	}
	close(s.stop)
	<-s.done
	return s.file.Close()
}
