// Package store keeps what the control plane knows in SQLite, in one file of the
// data folder: releases, versions, rollouts with their history, events and
// pushes. A change is stored whole, durably, and only by the holder of the
// newest lease. It implements the controller's Store seam and answers the
// queries of the API.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options say where a store lives.
type Options struct {
	Folder    string           // of the data; made if it is not there
	Lock      string           // path of the lock file; empty: "lock" in Folder
	Wait      time.Duration    // how long to wait for another process to let go of the lock
	Reserve   int64            // bytes kept free for decisions on a full disk; 0: 16 MiB
	Retention Retention        // zero fields take their defaults
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: discarded
}

// Store is an open database. Its methods may be called by many goroutines.
type Store struct {
	path      string
	log       *slog.Logger
	now       func() time.Time
	retention Retention
	lock      *lock
	reserve   *reserve
	read      *sql.DB

	writing sync.Mutex // held by the one transaction that writes
	write   *sql.DB    // one connection
	stmts   statements

	mu    sync.Mutex
	heard chan struct{} // closed when events have been stored
}

// Open opens the store in o.Folder and takes its lock; a second process gets a
// [FaultError] that names the first. A database that is not there is made; one that
// is damaged, cut short or newer than this program is refused, never replaced.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lock == "" {
		o.Lock = filepath.Join(o.Folder, "lock")
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	s := &Store{
		path: filepath.Join(o.Folder, "titrate.db"), log: o.Log, now: o.Now,
		retention: o.Retention.withDefaults(), heard: make(chan struct{}),
		reserve: newReserve(filepath.Join(o.Folder, "reserve"), o.Reserve),
	}
	var err error
	if s.lock, err = takeLock(ctx, o.Lock, o.Wait); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	switch err := examine(s.path, s.reserve.path); {
	case errors.Is(err, os.ErrNotExist):
		if err := create(ctx, s.path); err != nil {
			return fmt.Errorf("make the database: %w", err)
		}
	case err != nil:
		return err
	}
	var err error
	if s.write, err = connect(s.path, 1, "_txlock=immediate"); err != nil {
		return err
	}
	if s.read, err = connect(s.path, 4, "_pragma=query_only(1)"); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, s.write, s.path); err != nil {
		return s.wrap("migrate the database", err)
	}
	if err := s.stmts.prepare(ctx, s.write); err != nil {
		return s.wrap("prepare statements", err)
	}
	if err := s.reserve.make(); err != nil {
		s.log.Warn("no reserve for a full disk", slog.Any("error", err))
	}
	return nil
}

// Close lets go of the database and of the lock.
func (s *Store) Close() error {
	var errs []error
	s.stmts.close()
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.release())...)
}

// connect opens a pool on the database at path. Its settings stand in the name,
// so that each connection of the pool has them.
func connect(path string, conns int, extra string) (*sql.DB, error) {
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)&" + extra
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// Heard returns a channel that is closed when the next events have been stored.
// Take it before reading events, so that none is missed.
func (s *Store) Heard() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

func (s *Store) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.heard)
	s.heard = make(chan struct{})
}
