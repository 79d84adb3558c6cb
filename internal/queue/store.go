// Package queue is the node's durable store of events that functions have yet to
// handle: queues, topics that fan out to queues, and asynchronous invocations. An
// event that was accepted is on disk and is given out until it is deleted, given
// up to a dead-letter queue, or older than its queue keeps it.
//
// The rules are those of standard queues of Amazon SQS (developer guide, "Amazon
// SQS visibility timeout" and "Using dead-letter queues in Amazon SQS"): delivery
// is at least once, and order is not promised.
package queue

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	// The driver registers itself under the name "sqlite".
	_ "modernc.org/sqlite"
)

//go:embed schema.sql
var schema string

// version of the schema, in the database's user_version.
const version = 1

// Options say where a store lives and by which clock.
type Options struct {
	Path  string // of the database; its folder is made if it is not there
	Clock Clock  // zero: the machine's

	unsynced bool // for tests of rules, which no crash interrupts
}

// Store is an open database of events. Its methods may be called by many
// goroutines. One process at a time should have it open: receivers of another
// process are not woken.
type Store struct {
	path  string
	clock Clock
	read  *sql.DB
	write *sql.DB // one connection

	jobs   chan *job
	closed chan struct{} // closed when nothing more is taken
	ended  chan struct{} // closed when the writer has ended
	once   sync.Once

	wakes wakes
}

// Open opens the store at o.Path, or makes it. A damaged file is refused with a
// [FaultError] and is never replaced.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the queues: %w", err)
	}
	if err := examine(o.Path); err != nil {
		return nil, err
	}
	s := &Store{
		path: o.Path, clock: o.Clock.orMachine(),
		jobs: make(chan *job, 256), closed: make(chan struct{}), ended: make(chan struct{}),
		wakes: wakes{of: map[string]chan struct{}{}},
	}
	w, err := s.open(ctx, o.unsynced)
	if err != nil {
		for _, db := range []*sql.DB{s.read, s.write} {
			if db != nil {
				err = errors.Join(err, db.Close())
			}
		}
		return nil, err
	}
	go func() {
		defer close(s.ended)
		w.run(s)
	}()
	return s, nil
}

func (s *Store) open(ctx context.Context, unsynced bool) (*writer, error) {
	var err error
	sync := "&_pragma=synchronous(FULL)"
	if unsynced {
		sync = "&_pragma=synchronous(OFF)"
	}
	if s.write, err = connect(s.path, 1, sync); err != nil {
		return nil, err
	}
	if s.read, err = connect(s.path, 4, "&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	var at int
	if err := s.write.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&at); err != nil {
		return nil, s.wrap("read the version of the database of queues", err)
	}
	if at > version {
		return nil, &FaultError{
			Code: CodeNewer, Path: s.path, What: "the queues were written by a newer Titrate; nothing was changed",
			Hint: "install the version that wrote them, or a later one",
		}
	}
	// One transaction, so that a crash leaves all of the schema or none.
	tables := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version=%d; COMMIT", schema, version)
	if _, err := s.write.ExecContext(ctx, tables); err != nil {
		return nil, s.wrap("make the tables of queues", err)
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, s.wrap("open the database of queues", err)
	}
	return &writer{conn: conn, stmts: map[string]*sql.Stmt{}}, nil
}

// connect opens a pool whose settings stand in the name, so that each of its
// connections has them.
func connect(path string, conns int, extra string) (*sql.DB, error) {
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=foreign_keys(1)&_pragma=cache_size(-8000)" + extra
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Close answers what was taken before, refuses what comes later with [ErrClosed],
// and lets go of the database.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.closed) })
	<-s.ended
	return errors.Join(s.read.Close(), s.write.Close())
}

func (s *Store) now() int64 { return s.clock.Now().UnixMilli() }

func millis(d time.Duration) int64 { return d.Milliseconds() }
