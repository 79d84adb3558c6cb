package runtimes_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"titrate/internal/target/local/runtimes"
)

type loading struct {
	name, handler string
	files         map[string]string
	kind          runtimes.Kind // empty: it loads
	says          string
}

func check(t *testing.T, r runtimes.Runtime, cases []loading) {
	t.Helper()
	at := clients(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := folder(t, c.files)
			err := r.Check(t.Context(), runtimes.Handler{Clients: at, Folder: root, Name: c.handler, Env: []string{"NEEDED=yes"}, Within: time.Minute})
			if c.kind == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *runtimes.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != c.kind || !strings.Contains(err.Error(), c.says) || e.Where != root || e.Next == "" {
				t.Errorf("%s: %v", e.Kind, err)
			}
		})
	}
}

func TestCheck_findsWhatIsWrongWithANodeHandler(t *testing.T) {
	t.Parallel()
	check(t, find(t, "nodejs"), []loading{
		{"good", "src/a.go", map[string]string{"src/a.mjs": `if (!process.env.NEEDED) throw 1; export const go = async () => 1; setInterval(() => {}, 1000)`}, "", ""},
		{"no file", "b.go", map[string]string{"a.js": ``}, runtimes.FileMissing, "Cannot find module 'b'"},
		{"no package", "a.go", map[string]string{"a.js": `require('nowhere')`}, runtimes.FileMissing, "Cannot find module 'nowhere'"},
		{"no export", "a.go", map[string]string{"a.js": `exports.other = 1`}, runtimes.ExportMissing, "a.go is undefined or not exported"},
		{"no function", "a.go", map[string]string{"a.js": `exports.go = 1`}, runtimes.ExportMissing, "a.go is not a function"},
		{"no dot", "a", map[string]string{"a.js": ``}, runtimes.HandlerMalformed, "file.export"},
		{"outside", "../a.go", nil, runtimes.HandlerMalformed, "inside the folder"},
		{"syntax", "a.go", map[string]string{"a.js": `exports.go = (`}, runtimes.LoadFailed, "SyntaxError"},
		{"throws", "a.go", map[string]string{"a.js": `throw new TypeError('no key')`}, runtimes.LoadFailed, "TypeError: no key"},
		{"leaves", "a.go", map[string]string{"a.js": `console.error('bye'); process.exit(0)`}, runtimes.LoadFailed, "exit code 0 and wrote last: bye"},
	})
}

func TestCheck_findsWhatIsWrongWithAPythonHandler(t *testing.T) {
	t.Parallel()
	check(t, find(t, "python3"), []loading{
		{"good", "src.a.go", map[string]string{"src/a.py": "import os\nos.environ['NEEDED']\ndef go(e, c): pass"}, "", ""},
		{"thread left", "a.go", map[string]string{"a.py": "import threading\nthreading.Thread(target=threading.Event().wait).start()\ndef go(e, c): pass"}, "", ""},
		{"no file", "b.go", nil, runtimes.FileMissing, "No module named 'b'"},
		{"no package", "a.go", map[string]string{"a.py": "import nowhere"}, runtimes.FileMissing, "No module named 'nowhere'"},
		{"no export", "a.go", map[string]string{"a.py": ""}, runtimes.ExportMissing, "Handler 'go' missing on module 'a'"},
		{"no function", "a.go", map[string]string{"a.py": "go = 1"}, runtimes.ExportMissing, "not a function"},
		{"no dot", "a", nil, runtimes.HandlerMalformed, "module.function"},
		{"outside", "../a.go", nil, runtimes.HandlerMalformed, "module.function"},
		{"syntax", "a.go", map[string]string{"a.py": "def go("}, runtimes.LoadFailed, "syntax error"},
		{"throws", "a.go", map[string]string{"a.py": "{}['key']"}, runtimes.LoadFailed, "KeyError: 'key'"},
		{"exits", "a.go", map[string]string{"a.py": "raise SystemExit(0)"}, runtimes.LoadFailed, "SystemExit"},
		{"leaves", "a.go", map[string]string{"a.py": "import os\nos._exit(4)"}, runtimes.LoadFailed, "exit status 4"},
	})
}

func TestCheck_endsAHandlerThatIsNeverLoadedWithItsChildren(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nodejs":  {"a.js": `require('child_process').spawnSync('sleep', ['3600'], { stdio: 'inherit' })`},
		"python3": {"a.py": "import subprocess\nsubprocess.run(['sleep', '3600'])"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := find(t, name)
			err := r.Check(t.Context(), runtimes.Handler{
				Clients: clients(t), Folder: folder(t, files), Name: "a.go", Env: []string{"PATH=" + os.Getenv("PATH")}, Within: time.Second,
			})
			var e *runtimes.Error
			if !errors.As(err, &e) || e.Kind != runtimes.LoadTimedOut || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheck_leavesNothingInTheFolder(t *testing.T) {
	t.Parallel()
	root := folder(t, map[string]string{"a.py": "import b\ndef go(e, c): pass", "b.py": ""})
	if err := find(t, "python3").Check(t.Context(), runtimes.Handler{Clients: clients(t), Folder: root, Name: "a.go", Within: time.Minute}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) != 2 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestCheck_looksAtTheBootstrap(t *testing.T) {
	t.Parallel()
	r, err := runtimes.Find(t.Context(), "provided.al2023")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skipf("needs /proc to read a program of this machine: %v", err)
	}
	other := append([]byte{}, self[:min(len(self), 1<<20)]...)
	other[18], other[19] = 8, 0 // e_machine: MIPS
	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		kind    runtimes.Kind
	}{
		"program":         {self, 0o755, ""},
		"script":          {[]byte("#!/bin/sh\n"), 0o755, ""},
		"not executable":  {self, 0o644, runtimes.NotRunnable},
		"other processor": {other, 0o755, runtimes.NotRunnable},
		"text":            {[]byte("hello"), 0o755, runtimes.NotRunnable},
		"empty":           {nil, 0o755, runtimes.NotRunnable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "bootstrap"), c.content, c.mode); err != nil {
				t.Fatal(err)
			}
			err := r.Check(t.Context(), runtimes.Handler{Folder: root})
			var e *runtimes.Error
			if c.kind == "" && err != nil || c.kind != "" && (!errors.As(err, &e) || e.Kind != c.kind) {
				t.Errorf("on %s: %v", runtime.GOARCH, err)
			}
		})
	}
	var e *runtimes.Error
	if err := r.Check(t.Context(), runtimes.Handler{Folder: t.TempDir()}); !errors.As(err, &e) || e.Kind != runtimes.FileMissing {
		t.Errorf("missing: %v", err)
	}
}

func TestWrite_isSafeToRepeatAndMendsAFile(t *testing.T) {
	t.Parallel()
	at := clients(t)
	path := filepath.Join(at, "titrate-node.mjs")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := runtimes.Write(at); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(good) {
		t.Errorf("not mended: %v", err)
	}
	if left, _ := os.ReadDir(at); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}
