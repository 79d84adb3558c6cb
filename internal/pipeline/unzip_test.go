package pipeline

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zipped makes a zip: name, content, name, content, … A content that begins with #! is
// executable, one that begins with -> is a link.
func zipped(t *testing.T, nameContent ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := 0; i < len(nameContent); i += 2 {
		h := &zip.FileHeader{Name: nameContent[i], Method: zip.Deflate}
		content, link := strings.CutPrefix(nameContent[i+1], "->")
		switch {
		case link:
			h.SetMode(fs.ModeSymlink | 0o777)
		case strings.HasPrefix(content, "#!"):
			h.SetMode(0o755)
		case !strings.HasSuffix(h.Name, "/"):
			h.SetMode(0o600)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil && !strings.HasSuffix(h.Name, "/") {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func anything(int64) error { return nil }

func TestUnzip_unpacksFilesFoldersAndLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := zipped(t, "./", "", "./a.js", "a", "lib/", "", "lib/run", "#!/bin/sh\n", "bin/run", "->../lib/run", "deep/er/x", "x", "empty/", "")
	files, size, err := unzipFrom(bytes.NewReader(text), int64(len(text)), dir, anything)
	if err != nil || files != 3 || size != int64(len("a#!/bin/sh\nx")) {
		t.Fatal(files, size, err)
	}
	for name, mode := range map[string]os.FileMode{"a.js": 0o644, "lib/run": 0o755, "bin/run": 0o755, "deep/er/x": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || !info.IsDir() {
		t.Error(err)
	}
}

func TestUnzip_writesNothingOutside(t *testing.T) {
	t.Parallel()
	damaged := zipped(t, "a", strings.Repeat("abc", 1000))
	damaged[45] ^= 0xff
	for name, c := range map[string]struct {
		zip  []byte
		want string
	}{
		"upwards":             {zipped(t, "../evil", "x"), "leads out"},
		"upwards within":      {zipped(t, "a/../../evil", "x"), "leads out"},
		"absolute":            {zipped(t, "/tmp/evil", "x"), "leads out"},
		"not plain":           {zipped(t, "a//b", "x"), "no plain path"},
		"backslashes":         {zipped(t, `a\b`, "x"), "backslashes"},
		"drive":               {zipped(t, `C:\evil`, "x"), "backslashes"},
		"NUL":                 {zipped(t, "a\x00b", "x"), "no plain path"},
		"link upwards":        {zipped(t, "l", "->../evil"), "leads out of it"},
		"link absolute":       {zipped(t, "l", "->/etc/passwd"), "leads out of it"},
		"link to nothing":     {zipped(t, "l", "->"), "leads out of it"},
		"through a link":      {zipped(t, "l", "->..", "l/evil", "x"), "leads out of it"},
		"through a late link": {zipped(t, "l/evil", "x", "l", "->d", "d/", ""), "twice"},
		"through two links":   {zipped(t, "a", "->.", "b", "->a/..", "c", "x"), ""}, // seal looks where they lead
		"a long link":         {zipped(t, "l", "->"+strings.Repeat("a", maxZipLink+1)), "no link that can be read"},
		"twice":               {zipped(t, "a", "x", "a", "y"), "twice"},
		"file and folder":     {zipped(t, "a", "x", "a/b", "y"), "twice, or both"},
		"a long name":         {zipped(t, strings.Repeat("a", 300), "x"), "no name that a file can have"},
		"no zip":              {[]byte("hello"), "no zip"},
		"damaged":             {damaged, "damaged"},
		"cut off":             {zipped(t, "a", "x")[:30], "no zip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			above := t.TempDir()
			dir := filepath.Join(above, "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			_, _, err := unzipFrom(bytes.NewReader(c.zip), int64(len(c.zip)), dir, anything)
			var bad *zipError
			switch {
			case c.want == "":
				if err != nil {
					t.Error(err)
				}
				root, err := os.OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				if seal(root) == nil {
					t.Error("links that lead out are kept")
				}
			case !errors.As(err, &bad) || !strings.Contains(bad.saw, c.want) || bad.help == "":
				t.Errorf("no %q in %v", c.want, err)
			}
			if left, err := os.ReadDir(above); err != nil || len(left) != 1 {
				t.Errorf("written outside: %v, %v", left, err)
			}
		})
	}
}

func TestUnzip_aBombIsStopped(t *testing.T) {
	t.Parallel()
	text := zipped(t, "a", strings.Repeat("\x00", 40<<20))
	full := errors.New("full")
	var asked int64
	_, _, err := unzipFrom(bytes.NewReader(text), int64(len(text)), t.TempDir(), func(n int64) error {
		if asked += n; asked > 20<<20 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("of %d bytes: %v", len(text), err)
	}
	u := unzipping{left: 1000, may: anything}
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var wrote bytes.Buffer
	var bad *zipError
	if err := u.content(z.File[0], &wrote); !errors.As(err, &bad) || wrote.Len() > 1001 {
		t.Errorf("%d bytes, %v", wrote.Len(), err)
	}
}

func FuzzUnzip(f *testing.F) {
	t := &testing.T{}
	f.Add(zipped(t, "a.js", "a", "lib/", "", "lib/run", "#!/bin/sh\n", "bin/run", "->../lib/run"))
	f.Add(zipped(t, "../evil", "x", "l", "->/etc", "l/a", "y"))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, text []byte) {
		above := t.TempDir()
		dir := filepath.Join(above, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		left := int64(4 << 20)
		_, size, err := unzipFrom(bytes.NewReader(text), int64(len(text)), dir, func(n int64) error {
			if left -= n; left < 0 {
				return errDisk
			}
			return nil
		})
		if err == nil && size > 4<<20+piece {
			t.Errorf("%d bytes were let through", size)
		}
		if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
			t.Errorf("written outside: %v, %v", entries, err)
		}
	})
}
