package dev

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
	"titrate/internal/world"
)

func TestDotenv(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	if got, err := readDotenv(path); err != nil || len(got) != 0 {
		t.Errorf("none: %v, %v", got, err)
	}
	text := "# comment\n\nA=1\nexport B = two words # comment\nC=\"x # y\\n\\\"z\\\"\" # c\nD='a\\n$A'\nE=\nF=a#b\r\n_g=http://a/?b=c\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readDotenv(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "1", "B": "two words", "C": "x # y\n\"z\"", "D": `a\n$A`, "E": "", "F": "a#b", "_g": "http://a/?b=c"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, bad := range []string{"hunter2", "=hunter2", "A-B=hunter2", "1A=hunter2", "A=\"hunter2", "A='hunter2"} {
		if err := os.WriteFile(path, []byte("OK=1\n"+bad+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDotenv(path); err == nil || !strings.Contains(err.Error(), "2") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzUnquote(f *testing.F) {
	for _, s := range []string{"", `"`, `"a\`, `'a'`, `"a\\"`, "a #b"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { unquote(s) })
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Fault{
		"5xx=5%":           {Kind: "5xx", Share: 0.05},
		"orders/drop=1%":   {Service: "orders", Kind: "drop", Share: 0.01},
		"latency=300ms":    {Kind: "latency", Share: 1, Delay: 300 * time.Millisecond},
		"latency=1s:12.5%": {Kind: "latency", Share: 0.125, Delay: time.Second},
		"5xx":              {},
		"5xx=5":            {},
		"5xx=0%":           {},
		"5xx=101%":         {},
		"5xx=NaN%":         {},
		"latency=fast":     {},
		"latency=-1s":      {},
		"latency=1s:":      {},
		"4xx=5%":           {},
	} {
		got, err := ParseFault(text)
		if bad := want == (Fault{}); bad != (err != nil) || !bad && got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestHosts_oneAddressLeadsToWhatMostAppsHaveOneOf(t *testing.T) {
	t.Parallel()
	a := &app{services: []manifest.Service{{Name: "worker"}, {Name: "web", Host: "shop.example.org"}, {Name: "api", Host: "shop.example.org"}, {Name: "admin", Host: "admin.example.org"}, {Name: "docs", Host: "docs.localhost"}}}
	for i, want := range map[int][]string{
		1: {"shop.example.org", "localhost", "127.0.0.1"}, 2: {"shop.example.org", "localhost", "127.0.0.1"},
		3: {"admin.example.org", "admin.example.org.localhost"}, 4: {"docs.localhost"},
	} {
		if got := a.hosts(a.services[i]); !slices.Equal(got, want) {
			t.Errorf("%s: %v", a.services[i].Name, got)
		}
	}
}

func TestWatch_tellsOfWhatIsSavedAlsoInNewFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "node_modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	changes := make(chan change)
	run, err := watch(t.Context(), &repo{dir: link}, changes)
	if err != nil {
		t.Fatal(err)
	}
	go run()
	save := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	told := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(time.Minute):
			t.Fatalf("%s is not told", what)
		}
	}
	save("main.go", "a")
	told("a new file")
	save("a/b/c.go", "a")
	told("a new folder")
	for i := range 3 {
		save("a/b/c.go", strings.Repeat("x", i))
		told("a save in it")
	}
	if err := os.Rename(filepath.Join(root, "main.go"), filepath.Join(root, "a", "main.go")); err != nil {
		t.Fatal(err)
	}
	told("a move")
	save("node_modules/x/y.js", "a")
	save(".c.go.swp", "a")
	select {
	case <-changes:
		t.Error("what nobody wrote is told")
	case <-time.After(4 * quiet):
	}
}

func TestProfile_holdsWhatWasAskedWithoutCredentialsAndIsSentAgain(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked <- r.Method + " " + r.Host + r.RequestURI + " " + r.Header.Get("Content-Type") + " " + string(body[:min(len(body), 10)])
	}))
	defer app.Close()
	at := strings.TrimPrefix(app.URL, "http://")
	path := filepath.Join(t.TempDir(), "load.json")
	rec, err := newRecorder(path, "shop", at)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(rec)
	defer front.Close()
	send := func(method, uri, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, front.URL+uri, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "shop.localhost:7090"
		req.Header.Set("Authorization", "Bearer hunter2")
		req.Header.Set("Cookie", "a=hunter2")
		req.Header.Set("Content-Type", "text/plain")
		res, err := front.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	send("GET", "/a?b=c", "")
	send("POST", "/order", "one coffee")
	send("PUT", "/large", strings.Repeat("x", maxBody+1))
	if said := rec.close(); !strings.Contains(said, "3 requests") {
		t.Error(said)
	}
	for _, want := range []string{"GET shop.localhost:7090/a?b=c text/plain ", "POST shop.localhost:7090/order text/plain one coffee", "PUT shop.localhost:7090/large text/plain xxxxxxxxxx"} {
		if got := <-asked; got != want {
			t.Errorf("the app is asked %q, want %q", got, want)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte("hunter2")) {
		t.Fatalf("the profile (%v):\n%s", err, text)
	}
	p, err := readProfile(path)
	if err != nil || len(p.requests) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.replay(ctx, at) }()
	for range 2 {
		got := []string{<-asked, <-asked}
		slices.Sort(got)
		if want := []string{"GET shop.localhost/a?b=c text/plain ", "POST shop.localhost/order text/plain one coffee"}; !slices.Equal(got, want) {
			t.Errorf("sent again: %q", got)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readProfile(path); err == nil {
		t.Error("something else is taken for a profile")
	}
}

func TestFaults_areTheVersionsOwn(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-For"))
	}))
	defer app.Close()
	at := strings.TrimPrefix(app.URL, "http://")
	p := &interposer{faults: []Fault{{Service: "orders", Kind: "5xx", Share: 1}, {Service: "slow", Kind: "latency", Share: 1, Delay: 50 * time.Millisecond}, {Service: "gone", Kind: "drop", Share: 1}}, by: map[string]*between{}}
	defer p.close()
	if got := p.before("web", at); got != at {
		t.Errorf("a service without faults is reached at %s", got)
	}
	for service, want := range map[string]string{"orders": "500", "slow": "200 shop.localhost 192.0.2.1", "gone": "broken"} {
		p.by = map[string]*between{}
		addr := p.before(service, at)
		if p.at(at) != addr || addr == at {
			t.Errorf("%s is at %s and %s", service, addr, p.at(at))
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "shop.localhost"
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		began, got := time.Now(), "broken"
		if res, err := http.DefaultClient.Do(req); err == nil {
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if got = "500"; res.StatusCode == 200 {
				got = "200 " + string(body)
			}
		}
		if got != want || service == "slow" && time.Since(began) < 50*time.Millisecond {
			t.Errorf("%s: %q after %v", service, got, time.Since(began))
		}
	}
}

func TestTeller_showsTheServicesThatAreAskedFor(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	say := &teller{out: &out, logs: []string{"pay"}, colour: true}
	for _, name := range []string{"payments", "orders"} {
		say.log(world.LogLine{Key: rollout.Key{Workload: name}, Version: 3, Text: "hello"})
	}
	if got := out.String(); !strings.Contains(got, "payments v3 │") || strings.Contains(got, "orders") || !strings.Contains(got, "\x1b[38;5;") || !strings.HasSuffix(got, " hello\n") {
		t.Errorf("%q", got)
	}
}

func TestAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := alone(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alone(dir); err == nil || !strings.Contains(err.Error(), "T0727") {
		t.Errorf("a second one: %v", err)
	}
	lock.Close()
	if lock, err = alone(dir); err != nil {
		t.Fatal(err)
	}
	lock.Close()
}

func TestRun_saysWhoHasThePort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := &dev{Config: Config{Gateway: l.Addr().String()}}
	if err := d.listen(t.Context()); err == nil || !strings.Contains(err.Error(), "T0702") || !strings.Contains(err.Error(), "--gateway 127.0.0.1:0") {
		t.Errorf("%v", err)
	}
}
