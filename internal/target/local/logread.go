package local

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/rollout"
	"titrate/internal/world"
)

const (
	defaultLast = 200
	followEvery = 100 * time.Millisecond
)

// ReadLogs yields the lines that q asks for from the logs under root, oldest first
// by the time at which they were read, and then, with Follow, those that come,
// until ctx ends. It needs no supervisor: any process that may read the files
// can. Its only error is one of reading; the end of ctx is none.
func ReadLogs(ctx context.Context, root string, q world.LogQuery) iter.Seq2[world.LogLine, error] {
	return func(yield func(world.LogLine, error) bool) {
		last := q.Last
		if last <= 0 {
			last = defaultLast
		}
		r := logReader{root: root, query: q, tails: map[rollout.Key]*tail{}, most: last}
		defer r.close()
		lines, err := r.next(ctx)
		lines = lines[max(0, len(lines)-last):]
		r.most = 0
		for {
			for _, l := range lines {
				if !yield(l, nil) {
					return
				}
			}
			if err != nil {
				yield(world.LogLine{}, err)
				return
			}
			if !q.Follow {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(followEvery):
			}
			lines, err = r.next(ctx)
		}
	}
}

type logReader struct {
	root  string
	query world.LogQuery
	tails map[rollout.Key]*tail // by workload
	most  int                   // keep only the last so many lines of a workload; 0: all
}

func (r *logReader) close() {
	for _, t := range r.tails {
		t.close()
	}
}

// next returns what has been added since the last call, by time.
func (r *logReader) next(ctx context.Context) ([]world.LogLine, error) {
	var out []world.LogLine
	for _, k := range r.workloads() {
		t := r.tails[k]
		if t == nil {
			t = &tail{dir: logDir(r.root, k)}
			r.tails[k] = t
		}
		var mine []world.LogLine
		err := t.next(ctx, r.query.Since, func(line []byte) {
			if l, ok := parseLine(k, line); ok && r.wants(l) {
				mine = append(mine, l)
			}
			if r.most > 0 && len(mine) >= 2*r.most {
				mine = mine[:copy(mine, mine[len(mine)-r.most:])]
			}
		})
		out = append(out, mine...)
		if err != nil {
			return out, err
		}
	}
	slices.SortStableFunc(out, func(a, b world.LogLine) int { return a.At.Compare(b.At) })
	return out, nil
}

func (r *logReader) workloads() []rollout.Key {
	k := rollout.Key{App: r.query.App, Env: r.query.Env, Workload: r.query.Workload}
	for _, name := range []string{k.App, k.Env} {
		if !safeName.MatchString(name) {
			return nil // names come from people
		}
	}
	if k.Workload != "" {
		if !safeName.MatchString(k.Workload) {
			return nil
		}
		return []rollout.Key{k}
	}
	entries, _ := os.ReadDir(filepath.Join(r.root, k.App, k.Env))
	var out []rollout.Key
	for _, e := range entries {
		out = append(out, rollout.Key{App: k.App, Env: k.Env, Workload: e.Name()})
	}
	return out
}

func (r *logReader) wants(l world.LogLine) bool {
	q := r.query
	if len(q.Only) > 0 && q.Only[l.Key.Workload] != l.Version {
		return false
	}
	return (q.Version == 0 || l.Version == q.Version) && !l.At.Before(q.Since) && strings.Contains(l.Text, q.Contains)
}

// parseLine reads a line of a log: time, instance, stream, text.
func parseLine(k rollout.Key, line []byte) (world.LogLine, bool) {
	parts := bytes.SplitN(line, []byte{'\t'}, 4)
	if len(parts) != 4 {
		return world.LogLine{}, false
	}
	at, err := time.Parse(logTime, string(parts[0]))
	if err != nil {
		return world.LogLine{}, false
	}
	l := world.LogLine{At: at, Instance: string(parts[1]), Key: k, Stream: string(parts[2]), Text: string(parts[3])}
	if v, ok := strings.CutPrefix(l.Instance, k.Workload+"-v"); ok {
		digits, _, _ := strings.Cut(v, "-")
		n, _ := strconv.Atoi(digits)
		l.Version = rollout.Version(n)
	}
	return l, true
}

// tail reads a folder of logs from its oldest file on, across rotations.
type tail struct {
	dir  string
	file *os.File // the one that was current
	rest []byte   // of a line that is not complete yet
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// next gives each line that has been added since the last call.
func (t *tail) next(ctx context.Context, since time.Time, give func([]byte)) error {
	if t.file != nil {
		if err := t.copy(ctx, give); err != nil || t.isCurrent() {
			return err
		}
		// It was rotated away. Once more: it may have grown before that.
		if err := t.copy(ctx, give); err != nil {
			return err
		}
	}
	for _, path := range t.after(since) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated or removed since
		}
		if err != nil {
			return err
		}
		t.close()
		t.file, t.rest = f, nil
		if err := t.copy(ctx, give); err != nil {
			return err
		}
	}
	return nil
}

// after lists the files to read next: those behind the one in hand, or all that
// may hold lines since.
func (t *tail) after(since time.Time) []string {
	files := logFiles(t.dir)
	if t.file != nil {
		mine, err := t.file.Stat()
		if err != nil {
			return files
		}
		for i, path := range files {
			if st, err := os.Stat(path); err == nil && os.SameFile(st, mine) {
				return files[i+1:]
			}
		}
		return files // it is gone, and all that there are are younger
	}
	for len(files) > 0 {
		name := strings.TrimSuffix(filepath.Base(files[0]), logExt)
		rotated, err := time.Parse(rotatedForm, name)
		if err != nil || !rotated.Before(since) {
			break
		}
		files = files[1:]
	}
	return files
}

func (t *tail) isCurrent() bool {
	mine, err := t.file.Stat()
	if err != nil {
		return false
	}
	st, err := os.Stat(filepath.Join(t.dir, currentLog))
	return err == nil && os.SameFile(st, mine)
}

func (t *tail) copy(ctx context.Context, give func([]byte)) error {
	r := bufio.NewReaderSize(t.file, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			t.rest = append(t.rest, line...)
			return nil
		}
		if err != nil {
			return err
		}
		give(bytes.TrimSuffix(append(t.rest, line...), []byte{'\n'}))
		t.rest = nil
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how a reader stops, no failure
		}
	}
}
