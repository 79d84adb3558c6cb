package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is the program that git runs as a hook.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "__git-hook" {
		os.Exit(Hook(os.Args[2], os.Stdin, os.Stdout, os.Environ()))
	}
	os.Exit(m.Run())
}

// remote is a running git remote.
type remote struct {
	*Server
	url  string
	stop func() // ends Run and waits
}

type callbacks struct {
	check, accepted func(ctx context.Context, p Push, out io.Writer) error
}

func start(t *testing.T, dir string, cb callbacks) *remote {
	t.Helper()
	nothing := func(context.Context, Push, io.Writer) error { return nil }
	if cb.check == nil {
		cb.check = nothing
	}
	if cb.accepted == nil {
		cb.accepted = nothing
	}
	s, err := Open(t.Context(), Config{
		Dir: dir, HookCommand: []string{os.Args[0], "__git-hook"}, Check: cb.check, Accepted: cb.accepted,
		Who: func(r *http.Request) string { u, _, _ := r.BasicAuth(); return u }, Log: slog.New(slog.DiscardHandler), MaxPush: 4 << 20, MaxTree: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		s.ServeHTTP(w, r)
	}))
	var once sync.Once
	stop := func() { once.Do(func() { cancel(); running.Wait(); web.CloseClientConnections(); web.Close() }) }
	t.Cleanup(stop)
	return &remote{Server: s, url: strings.Replace(web.URL, "http://", "http://ann:x@", 1), stop: stop}
}

func (r *remote) at(app string) string { return r.url + "/git/" + app + ".git" }

// clone is a working copy with a real git client.
type clone struct {
	t   *testing.T
	dir string
}

func newClone(t *testing.T) *clone {
	t.Helper()
	c := &clone{t, t.TempDir()}
	c.git("init", "-q", "-b", "main")
	return c
}

func (c *clone) command(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	return cmd
}

func (c *clone) try(args ...string) (string, error) {
	out, err := c.command(args...).CombinedOutput()
	return string(out), err
}

func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func (c *clone) commit(name, content, subject string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.git("add", "-A")
	c.git("commit", "-q", "-m", subject)
	return c.git("rev-parse", "HEAD")
}

func TestPush_showsTheCommitToTheCheckAndTellsWhenItMoved(t *testing.T) {
	t.Parallel()
	var checked, accepted Push
	var manifest []byte
	r := start(t, t.TempDir(), callbacks{
		check: func(ctx context.Context, p Push, out io.Writer) (err error) {
			checked = p
			manifest, err = p.Tree.File(ctx, "titrate.yaml")
			fmt.Fprintln(out, "manifest fine")
			return err
		},
		accepted: func(ctx context.Context, p Push, out io.Writer) error {
			accepted = p
			if _, err := p.Tree.File(ctx, "titrate.yaml"); err != nil {
				return err
			}
			fmt.Fprintln(out, "v1 100 %")
			return nil
		},
	})
	c := newClone(t)
	head := c.commit("titrate.yaml", "titrate: 1\n", "first")
	out := c.git("push", "-o", "urgent", r.at("cofe"), "main")
	for _, want := range []string{"remote: manifest fine", "remote: v1 100 %"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if string(manifest) != "titrate: 1\n" {
		t.Errorf("the check read %q", manifest)
	}
	for _, p := range []Push{checked, accepted} {
		if p.App != "cofe" || p.Ref != "refs/heads/main" || p.Branch != "main" || !p.Default || p.Old != "" || p.New != head || p.By != "ann" || p.At.IsZero() || len(p.Options) != 1 || p.Options[0] != "urgent" {
			t.Errorf("push %+v", p)
		}
	}
	second := c.commit("a", "b", "second")
	c.git("push", r.at("cofe"), "main")
	if accepted.Old != head || accepted.New != second {
		t.Errorf("second push %+v", accepted)
	}
	if got := newClone(t).git("ls-remote", r.at("cofe")); !strings.Contains(got, second+"\tHEAD") || strings.Contains(got, "titrate") {
		t.Errorf("the remote shows\n%s", got)
	}
}

func TestPush_refusedChangesNothing(t *testing.T) {
	t.Parallel()
	refuse := true
	r := start(t, t.TempDir(), callbacks{
		check: func(context.Context, Push, io.Writer) error {
			if refuse {
				return errors.New("error[T0312]: unknown key \"alarm\" in services.checkout\n  --> titrate.yaml:18:5")
			}
			return nil
		},
		accepted: func(context.Context, Push, io.Writer) error {
			if refuse {
				t.Error("a refused push was told as accepted")
			}
			return nil
		},
	})
	c := newClone(t)
	c.commit("titrate.yaml", "x", "first")
	out, err := c.try("push", r.at("cofe"), "main")
	if err == nil || !strings.Contains(out, "remote: error[T0312]: unknown key \"alarm\" in services.checkout") || !strings.Contains(out, "remote:   --> titrate.yaml:18:5") || !strings.Contains(out, "pre-receive hook declined") {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Stat(r.repo("cofe")); err == nil {
		t.Error("a refused first push left a repository")
	}
	refuse = false
	first := c.git("rev-parse", "HEAD")
	c.git("push", r.at("cofe"), "main")
	refuse = true
	c.commit("titrate.yaml", "y", "second")
	if out, err := c.try("push", r.at("cofe"), "main"); err == nil {
		t.Fatal(out)
	}
	if got := c.git("ls-remote", r.at("cofe"), "main"); !strings.HasPrefix(got, first) {
		t.Errorf("a refused push moved the branch: %s", got)
	}
}

func TestPush_showsLinesWhileTheWorkGoesOn(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	r := start(t, t.TempDir(), callbacks{accepted: func(ctx context.Context, _ Push, out io.Writer) error {
		fmt.Fprintln(out, "build starts")
		select {
		case <-seen: // the client shows the line before the work is over
		case <-time.After(time.Minute):
			t.Error("the line did not arrive while the work went on")
		}
		fmt.Fprintln(out, "build done")
		return nil
	}})
	c := newClone(t)
	c.commit("titrate.yaml", "x", "first")
	cmd := c.command("push", r.at("cofe"), "main")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "build starts") {
			close(seen)
			break
		}
	}
	rest, _ := io.ReadAll(stderr)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "remote: build done") {
		t.Fatalf("%v\n%s", err, rest)
	}
}

func TestPush_ctrlCEndsTheViewAndNotTheWork(t *testing.T) {
	t.Parallel()
	started, killed, finished := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	r := start(t, t.TempDir(), callbacks{accepted: func(ctx context.Context, _ Push, out io.Writer) error {
		fmt.Fprintln(out, "build starts")
		close(started)
		<-killed
		for range 100 {
			fmt.Fprintln(out, strings.Repeat("nobody listens ", 100))
		}
		finished <- ctx.Err()
		return nil
	}})
	c := newClone(t)
	c.commit("titrate.yaml", "x", "first")
	cmd := c.command("push", r.at("cofe"), "main")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-started
	cmd.Process.Kill()
	cmd.Wait()
	close(killed)
	if err := <-finished; err != nil {
		t.Fatalf("the work was stopped: %v", err)
	}
}

func TestPush_twoAtOnceToOneAppAndToTwo(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got, deciding, defaults := map[string]int{}, map[string]int{}, map[string]int{}
	r := start(t, t.TempDir(), callbacks{
		check: func(_ context.Context, p Push, _ io.Writer) error {
			mu.Lock()
			deciding[p.App]++
			if deciding[p.App] > 1 {
				t.Errorf("two pushes to %s decide at once", p.App)
			}
			mu.Unlock()
			time.Sleep(50 * time.Millisecond) // long enough for the other to come in
			mu.Lock()
			deciding[p.App]--
			mu.Unlock()
			return nil
		},
		accepted: func(_ context.Context, p Push, _ io.Writer) error {
			mu.Lock()
			defer mu.Unlock()
			got[p.App+"/"+p.Branch]++
			if p.Default {
				defaults[p.App]++
			}
			return nil
		},
	})
	var wg sync.WaitGroup
	for _, to := range []string{"cofe/main", "cofe/other", "collect/main", "collect/other"} {
		app, branch, _ := strings.Cut(to, "/")
		c := newClone(t)
		c.commit("titrate.yaml", to, "first")
		wg.Go(func() {
			if out, err := c.try("push", r.at(app), "main:"+branch); err != nil {
				t.Errorf("%s: %v\n%s", to, err, out)
			}
		})
	}
	wg.Wait()
	if len(got) != 4 {
		t.Errorf("accepted %v", got)
	}
	if defaults["cofe"] != 1 || defaults["collect"] != 1 {
		t.Errorf("default branches %v", defaults)
	}
	// To one branch, both from nothing: one of them wins, the other is told.
	results := make(chan error, 2)
	for i := range 2 {
		c := newClone(t)
		c.commit("titrate.yaml", fmt.Sprint(i), "first")
		go func() { _, err := c.try("push", r.at("race"), "main"); results <- err }()
	}
	if a, b := <-results, <-results; (a == nil) == (b == nil) && a != nil {
		t.Errorf("neither push won: %v, %v", a, b)
	}
	if p, err := r.Pending(t.Context()); err != nil || len(p) != 5 {
		t.Errorf("pending %v, %v", p, err)
	}
}

func TestPush_forceDeleteTagsAndOtherRefs(t *testing.T) {
	t.Parallel()
	var got []string
	r := start(t, t.TempDir(), callbacks{accepted: func(_ context.Context, p Push, _ io.Writer) error {
		got = append(got, p.Branch)
		return nil
	}})
	c := newClone(t)
	c.commit("titrate.yaml", "1", "first")
	c.git("push", r.at("cofe"), "main", "main:feature/x")
	c.git("commit", "-q", "--amend", "-m", "rewritten")
	c.git("push", "--force", r.at("cofe"), "main")
	c.git("tag", "v1")
	c.git("push", r.at("cofe"), "v1")
	c.git("push", r.at("cofe"), ":feature/x")
	if strings.Join(got, " ") != "main feature/x main" {
		t.Errorf("accepted %v", got)
	}
	out, err := c.try("push", r.at("cofe"), "main:refs/other/x")
	if err == nil || !strings.Contains(out, "neither a branch nor a tag") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := c.try("push", r.at("cofe"), "main:refs/titrate/handled/main"); err == nil {
		t.Errorf("our records can be pushed\n%s", out)
	}
}

func TestPush_anotherFirstBranchIsTheDefault(t *testing.T) {
	t.Parallel()
	var got []string
	r := start(t, t.TempDir(), callbacks{check: func(_ context.Context, p Push, _ io.Writer) error {
		got = append(got, fmt.Sprint(p.Branch, p.Default))
		return nil
	}})
	c := newClone(t)
	c.commit("titrate.yaml", "1", "first")
	c.git("push", r.at("cofe"), "main:dev", "main:master")
	c.git("push", r.at("cofe"), "main:main")
	if strings.Join(got, " ") != "devfalse mastertrue mainfalse" {
		t.Errorf("checked %v", got)
	}
}

func TestPush_tooLargeIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), callbacks{})
	c := newClone(t)
	noise := make([]byte, 0, 9<<20)
	for i := uint32(1); len(noise) < cap(noise); { // incompressible
		i ^= i << 13
		i ^= i >> 17
		i ^= i << 5
		noise = append(noise, byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
	}
	c.commit("big", string(noise), "first")
	out, err := c.try("push", r.at("cofe"), "main")
	if err == nil {
		t.Fatalf("it was taken\n%s", out)
	}
	if _, err := os.Stat(r.repo("cofe")); err == nil {
		t.Error("a repository was left")
	}
}

func TestPush_ofABranchWithALongNameIsTakenAndRemembered(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), callbacks{})
	c := newClone(t)
	c.commit("titrate.yaml", "1", "first")
	long := strings.Repeat("ветка", 10)
	for _, branch := range []string{long, "я/" + long, "feature/x"} {
		c.git("push", r.at("cofe"), "main:refs/heads/"+branch)
	}
	pending, err := r.Pending(t.Context())
	if err != nil || len(pending) != 3 {
		t.Fatalf("pending %v, %v", pending, err)
	}
	for n, p := range pending {
		if err := r.Handled(t.Context(), p); err != nil || p.By != "ann" {
			t.Errorf("%s of %q: %v", p.Branch, p.By, err)
		}
		if left, err := r.Pending(t.Context()); err != nil || len(left) != 2-n {
			t.Errorf("pending %v, %v", left, err)
		}
	}
}

func TestServer_refusesWhatIsNotGit(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), callbacks{})
	post := func(path, kind, encoding string, body []byte) *http.Response {
		req, _ := http.NewRequest(http.MethodPost, r.url+path, bytes.NewReader(body))
		req.Header.Set("Content-Type", kind)
		if encoding != "" {
			req.Header.Set("Content-Encoding", encoding)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	get := func(path string) *http.Response {
		res, err := http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	for path, want := range map[string]int{
		"/git/cofe.git/info/refs":                             403, // dumb protocol
		"/git/cofe.git/info/refs?service=git-upload-pack":     404, // never pushed
		"/git/cofe.git/info/refs?service=git-receive-pack":    200,
		"/git/cofe.git/info/refs?service=git-upload-archive":  403,
		"/git/Cofe.git/info/refs?service=git-receive-pack":    404,
		"/git/..%2fx.git/info/refs?service=git-receive-pack":  404,
		"/git/.empty.git/info/refs?service=git-upload-pack":   404,
		"/git/cofe.git/HEAD":                                  404,
		"/git/cofe.git/git-receive-pack":                      405,
		"/git/cofe/info/refs":                                 404,
		"/git/a/b.git/info/refs?service=git-upload-pack":      404, // a further repository of a, which is not there
		"/git/a/b/c.git/info/refs?service=git-receive-pack":   404,
		"/git/-x.git/info/refs?service=git-receive-pack":      404,
		"/git/cofe.git/../x.git/info/refs?service=git-upload": 404,
	} {
		if res := get(path); res.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, res.StatusCode, want)
		}
	}
	const kind = "application/x-git-receive-pack-request"
	if res := post("/git/cofe.git/git-receive-pack", "text/plain", "", nil); res.StatusCode != 415 {
		t.Errorf("wrong content type: %d", res.StatusCode)
	}
	if res := post("/git/cofe.git/git-receive-pack", kind, "br", nil); res.StatusCode != 400 {
		t.Errorf("wrong encoding: %d", res.StatusCode)
	}
	if res := post("/git/cofe.git/git-receive-pack", kind, "gzip", []byte("not gzip")); res.StatusCode != 400 {
		t.Errorf("broken gzip: %d", res.StatusCode)
	}
	post("/git/cofe.git/git-receive-pack", kind, "", []byte("zzzz this is no pkt-line"))
	post("/git/cofe.git/git-receive-pack", kind, "", []byte("0000"))
	if left, _ := filepath.Glob(filepath.Join(r.cfg.Dir, "[a-z]*.git")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServer_servesClonesAndFetches(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), callbacks{})
	c := newClone(t)
	for i := range 40 { // enough for the client to compress what it asks
		c.commit("f", fmt.Sprint(i), "commit")
	}
	c.git("push", r.at("cofe"), "main")
	d := newClone(t)
	d.git("pull", "-q", r.at("cofe"), "main")
	head := c.commit("f", "last", "last")
	c.git("push", r.at("cofe"), "main")
	d.git("pull", "-q", r.at("cofe"), "main")
	if d.git("rev-parse", "HEAD") != head {
		t.Error("the fetch did not bring the newest commit")
	}
	d.git("-c", "protocol.version=0", "ls-remote", r.at("cofe"))
}

func FuzzParseUpdates(f *testing.F) {
	f.Add(strings.Repeat("0", 40) + " " + strings.Repeat("a", 40) + " refs/heads/main\n")
	f.Add("x y z\n")
	f.Fuzz(func(t *testing.T, text string) {
		updates, err := parseUpdates(text)
		for _, u := range updates {
			if err == nil && (!strings.HasPrefix(u.ref, "refs/") || strings.Contains(u.ref, " ") || u.new != "" && !isCommit(u.new)) {
				t.Fatalf("%q became %+v", text, u)
			}
		}
	})
}
