package test

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

// commandImage makes an image of the program that app writes, which is static and all
// there is in it, or of one for Node on Debian, and puts it in a folder or file of the
// script, or in its registry. What follows changes how it is made.
func commandImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: image MODE TEXT oci:FOLDER|tar:FILE|registry:NAME:TAG [base=node] [arch=ARCH] [entrypoint=ARG,ARG] [user=USER] [fill=MB] [zeros=MB]")
	}
	how := map[string]string{"arch": runtime.GOARCH, "user": "1000"}
	for _, a := range args[3:] {
		key, value, _ := strings.Cut(a, "=")
		how[key] = value
	}
	var img v1.Image
	if how["base"] == "node" {
		img = nodeImage(ts, args[0], args[1], how)
	} else {
		img = staticImage(ts, args[0], args[1], how)
	}
	img = filled(ts, img, how)
	kind, to, _ := strings.Cut(args[2], ":")
	switch kind {
	case "oci":
		to = ts.MkAbs(to)
		ts.Check(os.RemoveAll(to))
		p, err := layout.Write(to, empty.Index)
		ts.Check(err)
		ts.Check(p.AppendImage(img))
	case "tar":
		to = ts.MkAbs(to)
		ts.Check(os.MkdirAll(filepath.Dir(to), 0o755))
		tag, err := name.NewTag("app:made")
		ts.Check(err)
		ts.Check(tarball.WriteToFile(to, tag, img))
	default:
		tag, err := name.NewTag(ts.Getenv("REGISTRY") + "/" + to)
		ts.Check(err)
		ts.Check(remote.Write(tag, img))
	}
}

// filled is the image with a layer of so many megabytes: of what cannot be packed, or
// of what becomes next to nothing.
func filled(ts *testscript.TestScript, img v1.Image, how map[string]string) v1.Image {
	for key, from := range map[string]io.Reader{"fill": rand.Reader, "zeros": zeros{}} {
		if how[key] == "" {
			continue
		}
		mb, err := strconv.Atoi(how[key])
		ts.Check(err)
		content, err := io.ReadAll(io.LimitReader(from, int64(mb)<<20))
		ts.Check(err)
		img, err = mutate.AppendLayers(img, layerOf(ts, key, 0o644, content))
		ts.Check(err)
	}
	return img
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// packed is an image of layers with a configuration.
func packed(ts *testscript.TestScript, how map[string]string, c v1.Config, layers ...v1.Layer) v1.Image {
	img, err := mutate.AppendLayers(empty.Image, layers...)
	ts.Check(err)
	file, err := img.ConfigFile()
	ts.Check(err)
	c.User = how["user"]
	if e := how["entrypoint"]; e != "" {
		c.Entrypoint = strings.Split(e, ",")
	}
	file.OS, file.Architecture, file.Config = "linux", how["arch"], c
	img, err = mutate.ConfigFile(img, file)
	ts.Check(err)
	return img
}

func staticImage(ts *testscript.TestScript, mode, text string, how map[string]string) v1.Image {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "program-")
	ts.Check(err)
	defer os.RemoveAll(dir)
	commandApp(ts, false, []string{mode, text, dir})
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "server", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		ts.Fatalf("build the image's program: %v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "server"))
	ts.Check(err)
	return packed(ts, how, v1.Config{Entrypoint: []string{"/server"}, ExposedPorts: map[string]struct{}{"8080/tcp": {}}}, layerOf(ts, "server", 0o755, program))
}

func layerOf(ts *testscript.TestScript, file string, mode int64, content []byte) v1.Layer {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ts.Check(w.WriteHeader(&tar.Header{Name: file, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg}))
	_, err := w.Write(content)
	ts.Check(err)
	ts.Check(w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ts.Check(err)
	return l
}

// debianNode returns the archive that debian-node.sh has made, or why it has not.
var debianNode = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("./debian-node.sh")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
})

const nodeProgram = `
const http = require('node:http'), fs = require('node:fs')
fs.writeFileSync('/home/node/started', process.version)
const server = http.createServer((req, res) => res.end(%q + '\n'))
server.listen(process.env.PORT, () => console.log('node', process.version, 'uid', process.getuid(), 'pid', process.pid))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`

// nodeEntry is what images of databases do: what starts as root gives a folder to a
// user, and becomes that user.
const nodeEntry = `
const data = process.env.TITRATE_STATE + '/data'
fs.mkdirSync(data, { recursive: true })
fs.chownSync(data, 999, 999)
process.setgroups([]); process.setgid(999); process.setuid(999)
fs.appendFileSync(data + '/log', 'x')
`

func nodeImage(ts *testscript.TestScript, mode, text string, how map[string]string) v1.Image {
	archive, err := debianNode()
	ts.Check(err)
	base, err := tarball.LayerFromFile(archive)
	ts.Check(err)
	program := fmt.Sprintf(nodeProgram, text)
	if how["user"] = "node"; mode == "drops" {
		how["user"] = "root"
		program = strings.Replace(program, "fs.writeFileSync('/home/node/started', process.version)", nodeEntry, 1)
	}
	c := v1.Config{Entrypoint: []string{"nodejs"}, Cmd: []string{"/srv/server.js"}, WorkingDir: "/srv", Env: []string{"NODE_ENV=production"}, ExposedPorts: map[string]struct{}{"80/tcp": {}}}
	own, err := tarball.LayerFromOpener(homeOf("home/node"))
	ts.Check(err)
	return packed(ts, how, c, base, own, layerOf(ts, "srv/server.js", 0o644, []byte(program)))
}

// homeOf is a layer that gives a folder to user 1000.
func homeOf(dir string) tarball.Opener {
	return func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		err := w.WriteHeader(&tar.Header{Name: dir + "/", Mode: 0o755, Uid: 1000, Gid: 1000, Typeflag: tar.TypeDir})
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		return io.NopCloser(&b), err
	}
}

// commandService writes app/titrate.yaml: one service of an image. What follows are
// further lines of it.
func commandService(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: service IMAGE [KEY: VALUE]...")
	}
	lines := map[string]string{"health": "/healthz", "host": "app.localhost", "image": strings.ReplaceAll(args[0], "registry:", ts.Getenv("REGISTRY")+"/")}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, ": ")
		lines[key] = value
	}
	text := "titrate: 1\napp: app\ndefaults:\n  rollout: Linear50PercentEvery1Second\n  bake: 1s\n  startTimeout: 10s\n  alarms: { errors: 5xx > 1% for 2s min 5 }\nservices:\n  app:\n"
	for key := range maps.Keys(lines) {
		text += "    " + key + ": " + lines[key] + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs("titrate.yaml"), []byte(text), 0o644))
}

// shelf is a registry of a script, with what may be wrong with one.
type shelf struct{ mood atomic.Value }

var shelves sync.Map // of *testscript.TestScript's names to *shelf

// commandRegistry starts a registry on loopback and sets REGISTRY to its address, or
// changes how it answers: as it should, refusing, or breaking off in every layer.
func commandRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: registry start|well|refuses|breaks")
	}
	if args[0] == "start" {
		s := &shelf{}
		s.mood.Store("well")
		srv := httptest.NewServer(s.around(registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
		ts.Defer(srv.Close)
		shelves.Store(ts.Name(), s)
		ts.Setenv("REGISTRY", strings.TrimPrefix(srv.URL, "http://"))
		return
	}
	s, ok := shelves.Load(ts.Name())
	if !ok {
		ts.Fatalf("no registry was started")
	}
	s.(*shelf).mood.Store(args[0])
}

func (s *shelf) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mood := s.mood.Load(); {
		case mood == "refuses":
			http.Error(w, "who are you", http.StatusUnauthorized)
		case mood == "breaks" && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/"):
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			if rec.Body.Len() < 64<<10 { // a configuration
				maps.Copy(w.Header(), rec.Header())
				_, _ = w.Write(rec.Body.Bytes())
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
