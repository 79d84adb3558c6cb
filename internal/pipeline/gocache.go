package pipeline

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// The Go build cache is copied on write: a build reads what earlier builds and
// the user's own `go build` left, and writes to a folder of its own that is
// merged when the build has gone well. It needs no mount: the go command asks
// this program for its cache (GOCACHEPROG; see cmd/go/internal/cacheprog).
// The folders have the form of GOCACHE: xx/ACTION-a names xx/OUTPUT-d.

// GoCache is the body of "titrate __gocache -new DIR -below DIR:DIR": it serves
// the go command on stdin and stdout. It returns the exit code.
func GoCache(args []string, stdin io.Reader, stdout io.Writer) int {
	flags := flag.NewFlagSet("__gocache", flag.ContinueOnError)
	upper := flags.String("new", "", "folder to write to")
	lower := flags.String("below", "", "folders to read from, in order")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	layers := []string{*upper}
	for dir := range strings.SplitSeq(*lower, ":") {
		if dir != "" {
			layers = append(layers, dir)
		}
	}
	if err := serveCache(layers, stdin, stdout); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "build cache:", err)
		return 1
	}
	return 0
}

type cacheRequest struct {
	ID       int64
	Command  string
	ActionID []byte
	OutputID []byte
	BodySize int64
}

type cacheResponse struct {
	ID            int64
	Err           string     `json:",omitempty"`
	KnownCommands []string   `json:",omitempty"`
	Miss          bool       `json:",omitempty"`
	OutputID      []byte     `json:",omitempty"`
	Size          int64      `json:",omitempty"`
	Time          *time.Time `json:",omitempty"`
	DiskPath      string     `json:",omitempty"`
}

func serveCache(layers []string, stdin io.Reader, stdout io.Writer) error {
	in := json.NewDecoder(bufio.NewReaderSize(stdin, 1<<20))
	buffered := bufio.NewWriter(stdout)
	out := json.NewEncoder(buffered)
	answer := func(res cacheResponse) error {
		if err := out.Encode(res); err != nil {
			return err
		}
		return buffered.Flush()
	}
	if err := answer(cacheResponse{KnownCommands: []string{"get", "put", "close"}}); err != nil {
		return err
	}
	for {
		var req cacheRequest
		if err := in.Decode(&req); err != nil {
			return err
		}
		res := cacheResponse{ID: req.ID}
		switch req.Command {
		case "close":
			return answer(res)
		case "get":
			lookUp(layers, req, &res)
		case "put":
			var body []byte
			if req.BodySize > 0 {
				if err := in.Decode(&body); err != nil {
					return err
				}
			}
			path, err := putEntry(layers[0], req, body)
			if err != nil {
				res.Err = err.Error()
			}
			res.DiskPath = path
		default:
			res.Err = "unknown command"
		}
		if err := answer(res); err != nil {
			return err
		}
	}
}

func entryPath(dir string, id []byte, kind string) string {
	name := hex.EncodeToString(id)
	return filepath.Join(dir, name[:2], name+kind)
}

// lookUp answers with the first layer's entry that is whole.
func lookUp(layers []string, req cacheRequest, res *cacheResponse) {
	if len(req.ActionID) > 0 {
		for _, dir := range layers {
			text, err := os.ReadFile(entryPath(dir, req.ActionID, "-a"))
			if err != nil {
				continue
			}
			output, size, at, err := parseEntry(string(text))
			if err != nil {
				continue
			}
			path := entryPath(dir, output, "-d")
			if info, err := os.Stat(path); err != nil || info.Size() != size {
				continue
			}
			res.OutputID, res.Size, res.Time, res.DiskPath = output, size, &at, path
			return
		}
	}
	res.Miss = true
}

// parseEntry reads "v1 ACTION OUTPUT SIZE NANOSECONDS\n".
func parseEntry(text string) (output []byte, size int64, at time.Time, err error) {
	f := strings.Fields(text)
	if len(f) != 5 || f[0] != "v1" || len(f[2]) < 2 {
		return nil, 0, at, errors.New("not a cache entry")
	}
	if output, err = hex.DecodeString(f[2]); err != nil {
		return nil, 0, at, err
	}
	if size, err = strconv.ParseInt(f[3], 10, 64); err != nil || size < 0 {
		return nil, 0, at, errors.New("not a cache entry")
	}
	nanos, err := strconv.ParseInt(f[4], 10, 64)
	if err != nil {
		return nil, 0, at, err
	}
	return output, size, time.Unix(0, nanos), nil
}

func putEntry(dir string, req cacheRequest, body []byte) (string, error) {
	if len(req.ActionID) == 0 || len(req.OutputID) == 0 || int64(len(body)) != req.BodySize {
		return "", errors.New("not a whole entry")
	}
	data := entryPath(dir, req.OutputID, "-d")
	if err := putFile(data, body); err != nil {
		return "", err
	}
	// The form is Go's own, so that a toolchain too old to ask can use the folder.
	entry := fmt.Sprintf("v1 %x %x %20d %20d\n", req.ActionID, req.OutputID, req.BodySize, time.Now().UnixNano())
	return data, putFile(entryPath(dir, req.ActionID, "-a"), []byte(entry))
}

// putFile makes a file appear whole. It need not survive a crash: it is a cache.
func putFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// maxGoCache bounds the merged cache.
const maxGoCache = 4 << 30

// mergeCache moves what a build has added into the cache that builds share, the
// data before the entries that name it.
func (b *Builder) mergeCache(from string) error {
	b.merge.Lock()
	defer b.merge.Unlock()
	shared := b.path("builds", "gocache")
	for _, kind := range []string{"-d", "-a"} {
		names, err := fs.Glob(os.DirFS(from), "??/*"+kind)
		if err != nil {
			return fmt.Errorf("merge the build cache: %w", err)
		}
		for _, name := range names {
			to := filepath.Join(shared, name)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return fmt.Errorf("merge the build cache: %w", err)
			}
			if err := os.Rename(filepath.Join(from, name), to); err != nil {
				return fmt.Errorf("merge the build cache: %w", err)
			}
		}
	}
	return trimCache(shared, maxGoCache)
}

// trimCache removes the oldest files until the rest fit, a quarter below the bound.
func trimCache(dir string, bound int64) error {
	type file struct {
		path string
		size int64
		at   time.Time
	}
	var files []file
	var total int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		files = append(files, file{path, info.Size(), info.ModTime()})
		return nil
	})
	if err != nil || total <= bound {
		return err
	}
	sort.Slice(files, func(i, j int) bool { return files[i].at.Before(files[j].at) })
	for _, f := range files {
		if total <= bound-bound/4 {
			break
		}
		if err := os.Remove(f.path); err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}
