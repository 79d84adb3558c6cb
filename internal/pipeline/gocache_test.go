package pipeline

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cacheTalk sends requests and returns the answers after the greeting.
func cacheTalk(t *testing.T, layers []string, requests ...any) []cacheResponse {
	t.Helper()
	var in, out bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, r := range requests {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := serveCache(layers, &in, &out); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	var answers []cacheResponse
	for dec := json.NewDecoder(&out); dec.More(); {
		var a cacheResponse
		if err := dec.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) == 0 || len(answers[0].KnownCommands) != 3 {
		t.Fatalf("no greeting: %+v", answers)
	}
	return answers[1:]
}

func TestGoCache_readsLayersAndWritesTheFirst(t *testing.T) {
	t.Parallel()
	upper, lower := t.TempDir(), t.TempDir()
	body := []byte("compiled")
	put := func(action string) []any {
		return []any{
			cacheRequest{ID: 1, Command: "put", ActionID: []byte(action), OutputID: []byte("out"), BodySize: int64(len(body))},
			base64.StdEncoding.EncodeToString(body),
		}
	}
	get := func(action string) cacheRequest {
		return cacheRequest{ID: 2, Command: "get", ActionID: []byte(action)}
	}
	cacheTalk(t, []string{lower}, put("below")...)
	before, _ := filepath.Glob(filepath.Join(lower, "*", "*"))
	answers := cacheTalk(t, []string{upper, lower}, append(put("above"), get("above"), get("below"), get("nothing"), cacheRequest{ID: 9, Command: "close"})...)
	if len(answers) != 5 || answers[0].DiskPath == "" || answers[4].ID != 9 || !answers[3].Miss {
		t.Fatalf("%+v", answers)
	}
	for i, dir := range map[int]string{1: upper, 2: lower} {
		a := answers[i]
		text, err := os.ReadFile(a.DiskPath)
		if a.Miss || !strings.HasPrefix(a.DiskPath, dir) || string(a.OutputID) != "out" || a.Size != 8 || a.Time == nil || string(text) != "compiled" || err != nil {
			t.Errorf("%+v: %q, %v", a, text, err)
		}
	}
	if after, _ := filepath.Glob(filepath.Join(lower, "*", "*")); len(after) != len(before) {
		t.Errorf("the lower layer was written to: %v", after)
	}
}

func TestGoCache_missesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cacheTalk(t, []string{dir}, cacheRequest{ID: 1, Command: "put", ActionID: []byte("act"), OutputID: []byte("out"), BodySize: 4}, base64.StdEncoding.EncodeToString([]byte("body")))
	get := cacheRequest{ID: 2, Command: "get", ActionID: []byte("act")}
	if a := cacheTalk(t, []string{dir}, get); a[0].Miss {
		t.Fatal("not found")
	}
	os.Truncate(entryPath(dir, []byte("out"), "-d"), 3)
	if a := cacheTalk(t, []string{dir}, get); !a[0].Miss {
		t.Error("a cut file was given")
	}
	os.WriteFile(entryPath(dir, []byte("act"), "-a"), []byte("v1 broken"), 0o600)
	if a := cacheTalk(t, []string{dir}, get, cacheRequest{ID: 3, Command: "put", ActionID: []byte("x")}, cacheRequest{ID: 4, Command: "other"}); !a[0].Miss || a[1].Err == "" || a[2].Err == "" {
		t.Errorf("%+v", a)
	}
}

func TestGoCache_mergesAndTrims(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	added := filepath.Join(t.TempDir(), "added[1]*?") // a path, not a pattern
	for i := range 10 {
		cacheTalk(t, []string{added}, cacheRequest{ID: 1, Command: "put", ActionID: fmt.Appendf(nil, "act%d", i), OutputID: fmt.Appendf(nil, "out%d", i), BodySize: 1000}, base64.StdEncoding.EncodeToString(make([]byte, 1000)))
	}
	// The cache of a test may lie on another disk than its data folder; here both are temporary.
	if err := b.mergeCache(added); err != nil {
		t.Fatal(err)
	}
	shared := b.path("builds", "gocache")
	get := cacheRequest{ID: 2, Command: "get", ActionID: []byte("act3")}
	if a := cacheTalk(t, []string{added, shared}, get); a[0].Miss || !strings.HasPrefix(a[0].DiskPath, shared) {
		t.Errorf("%+v", a)
	}
	if err := trimCache(shared, 5000); err != nil {
		t.Fatal(err)
	}
	if n := sizeOfFiles(shared); n > 5000 || n == 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func sizeOfFiles(dir string) (n int64) {
	names, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

func FuzzGoCache(f *testing.F) {
	f.Add("{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"YWN0\"}\n")
	f.Add("{\"ID\":1,\"Command\":\"put\",\"ActionID\":\"YWN0\",\"OutputID\":\"b3V0\",\"BodySize\":4}\n\"Ym9keQ==\"\n{\"ID\":2,\"Command\":\"close\"}\n")
	f.Fuzz(func(t *testing.T, in string) {
		dir := t.TempDir()
		_ = serveCache([]string{dir}, strings.NewReader(in), io.Discard)
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add("v1 aabb ccdd                    4  1700000000000000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		output, size, _, err := parseEntry(text)
		if err == nil && (len(output) == 0 || size < 0) {
			t.Fatalf("%q became %x, %d", text, output, size)
		}
	})
}
