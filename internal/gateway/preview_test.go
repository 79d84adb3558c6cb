package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"titrate/internal/rollout"
)

// candidates is a rig with v1 at 100 % and v17 at 0 %, ready.
func candidates(t *testing.T) (r *rig, stable, candidate *backend) {
	t.Helper()
	r = newRig(t, Config{})
	tell := func(w http.ResponseWriter, req *http.Request) {
		w.Write([]byte(req.URL.RawQuery + "|" + req.Header.Get("Cookie") + "|" + req.Header.Get(HeaderVersion) + req.Header.Get(HeaderPreview)))
	}
	stable, candidate = newBackend(t, "stable", tell), newBackend(t, "candidate", tell)
	r.SetInstances(orders, 1, []Endpoint{stable.Endpoint})
	r.SetInstances(orders, 17, []Endpoint{candidate.Endpoint})
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 17: -1, 18: -1})
	return r, stable, candidate
}

func soon() time.Time { return time.Now().Add(time.Hour) }

func TestR10_aPreviewAddressLeadsToTheCandidate(t *testing.T) {
	t.Parallel()
	r, _, candidate := candidates(t)
	u, err := url.Parse(PreviewURL("http://"+r.public, previewKey, orders, 17, soon()))
	if err != nil {
		t.Fatal(err)
	}
	if status, v, body := r.get(t, u.RequestURI(), "Host", u.Host); status != 200 || v != "v17" || candidate.hits.Load() == 0 {
		t.Errorf("%s: %d from %q: %s", u, status, v, body)
	}
	if none := PreviewURL("http://"+r.public, nil, orders, 17, soon()); none != "" {
		t.Errorf("without a key: %s", none)
	}
}

func TestPreviewByHeaderNeedsAToken(t *testing.T) {
	t.Parallel()
	r, stable, candidate := candidates(t)
	good := SignPreview(previewKey, orders, 17, soon())
	for name, c := range map[string]struct {
		version, token string
		status         int
		answers        string
	}{
		"signed":                {"v17", good, 200, "v17"},
		"without a token":       {"v17", "", 200, "v1"},
		"a token alone":         {"", good, 200, "v1"},
		"another version":       {"v1", good, 403, ""},
		"no version":            {"17", good, 403, ""},
		"forged":                {"v17", good[:len(good)-2] + "xx", 403, ""},
		"expired":               {"v17", SignPreview(previewKey, orders, 17, time.Now().Add(-time.Second)), 403, ""},
		"under another key":     {"v17", SignPreview([]byte("other"), orders, 17, soon()), 403, ""},
		"of another workload":   {"v17", SignPreview(previewKey, rollout.Key{App: "cofe", Env: "production", Workload: "store"}, 17, soon()), 403, ""},
		"a version that is not": {"v99", SignPreview(previewKey, orders, 99, soon()), 404, ""},
		"nothing ready":         {"v18", SignPreview(previewKey, orders, 18, soon()), 503, ""},
	} {
		headers := []string{HeaderPreview, c.token}
		if c.version != "" {
			headers = append(headers, HeaderVersion, c.version)
		}
		status, v, body := r.get(t, "/", headers...)
		if status != c.status || v != c.answers {
			t.Errorf("%s: %d from %q: %s", name, status, v, body)
		}
		if status == 200 && body != "||" {
			t.Errorf("%s: the version was told %s", name, body)
		}
	}
	if s, c := stable.hits.Load(), candidate.hits.Load(); s != 2 || c != 1 {
		t.Errorf("%d and %d reached the versions", s, c)
	}
	if w := r.sum(17); w.Requests != 0 {
		t.Errorf("previews are in windows: %+v", w)
	}
	if w := r.sum(1); w.Requests != 2 {
		t.Errorf("windows hold %+v", w)
	}
	s, _ := r.Share(orders)
	if s.Versions[1].Previewed != 1 || s.Requests != 2 {
		t.Errorf("share is %+v", s)
	}
}

func TestPreviewByHost(t *testing.T) {
	t.Parallel()
	r, _, candidate := candidates(t)
	token := SignPreview(previewKey, orders, 17, soon())
	host, ok := PreviewHost(orders, 17, "localhost")
	if !ok || host != "v17--orders--production--cofe.localhost" {
		t.Fatal(host)
	}
	if status, _, _ := r.get(t, "/", "Host", host); status != http.StatusForbidden {
		t.Errorf("without a token: %d", status)
	}
	if status, _, _ := r.get(t, "/?titrate_preview=1.x", "Host", host); status != http.StatusForbidden {
		t.Errorf("with a forged one: %d", status)
	}
	if candidate.hits.Load() != 0 {
		t.Error("a refused preview reached the version")
	}
	req := r.plainGet()
	req.Host, req.URL.RawQuery = host+":7080", "a=1&titrate_preview="+token+"&b=2"
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	cookies := res.Cookies()
	if res.StatusCode != 200 || res.Header.Get(HeaderVersion) != "v17" || len(cookies) != 1 {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	if c := cookies[0]; c.Name != PreviewParam || c.Value != token || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Expires.IsZero() {
		t.Errorf("cookie is %v", c)
	}
	if _, _, body := r.get(t, "/?a=1&titrate_preview="+token+"&b=2", "Host", host, "Cookie", "x=1"); body != "a=1&b=2|x=1|" {
		t.Errorf("the version was told %s", body)
	}
	if status, v, body := r.get(t, "/page?c", "Host", host, "Cookie", "x=1; titrate_preview="+token+"; y=2"); status != 200 || v != "v17" || body != "c|x=1; y=2|" {
		t.Errorf("by cookie: %d %s %s", status, v, body)
	}
	if status, _, body := r.get(t, "/", "Host", host, HeaderPreview, token); status != 200 || body != "||" {
		t.Errorf("by header: %d %s", status, body)
	}
	// A cookie of the preview host opens nothing elsewhere.
	if _, v, _ := r.get(t, "/", "Cookie", "titrate_preview="+token, HeaderVersion, "v17"); v != "v1" {
		t.Errorf("a cookie opened %s", v)
	}
	if w := r.sum(17); w.Requests != 0 {
		t.Errorf("previews are in windows: %+v", w)
	}
}

func TestPreviewWithoutAKeyIsClosed(t *testing.T) {
	t.Parallel()
	r, _, _ := candidates(t)
	r.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full, 17: -1}, func(tb *Table) { tb.PreviewKey = nil })
	for _, key := range [][]byte{nil, {}, previewKey} {
		token := SignPreview(key, orders, 17, soon())
		if status, _, _ := r.get(t, "/", HeaderVersion, "v17", HeaderPreview, token); status != http.StatusForbidden {
			t.Errorf("%d", status)
		}
	}
}

func TestPreviewTokensHaveOneSpelling(t *testing.T) {
	t.Parallel()
	until := time.Unix(1_800_000_000, 0)
	good := SignPreview(previewKey, orders, 17, until)
	if err := VerifyPreview(previewKey, orders, 17, good, until.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	at, mac, _ := strings.Cut(good, ".")
	raw, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", ".", at, at + ".", "." + mac, "0" + good, "+" + good, " " + good, good + "=", good + "\n", at + "." + mac + "." + mac,
		at + "." + base64.StdEncoding.EncodeToString(raw), at + "." + mac[:40], "9" + good, "-" + good,
		strconv.FormatInt(until.Unix()+1, 10) + "." + mac,
	} {
		if VerifyPreview(previewKey, orders, 17, bad, until.Add(-time.Second)) == nil {
			t.Errorf("%q lets in", bad)
		}
	}
	if VerifyPreview(previewKey, orders, 17, good, until) == nil {
		t.Error("it does not expire")
	}
}

func TestPreviewHostNames(t *testing.T) {
	t.Parallel()
	for _, k := range []rollout.Key{
		{App: "a", Env: "b", Workload: "a--b"},
		{App: "-a", Env: "b", Workload: "c"},
		{App: "a", Env: "b", Workload: strings.Repeat("x", 60)},
		{App: "a.b", Env: "b", Workload: "c"},
		{App: "A", Env: "b", Workload: "c"},
	} {
		if h, ok := PreviewHost(k, 1, "localhost"); ok {
			t.Errorf("%s has the preview host %s", k, h)
		}
	}
	for _, h := range []string{"v1--a--b--c.example", "v0--a--b--c.localhost", "v1--a--b.localhost", "1--a--b--c.localhost", "v1--a--b--c.d.localhost", "v1----b--c.localhost", "v1234567890--a--b--c.localhost"} {
		if _, _, ok := parsePreviewHost(h, "localhost"); ok {
			t.Errorf("%s is a preview host", h)
		}
	}
}

func FuzzPreviewToken(f *testing.F) {
	f.Add(SignPreview(previewKey, orders, 17, time.Unix(1_800_000_000, 0)))
	f.Add("1800000000.")
	f.Add(".=")
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, token string) {
		if VerifyPreview(previewKey, orders, 17, token, now) != nil {
			return
		}
		until, err := expiry(token)
		if err != nil || token != SignPreview(previewKey, orders, 17, time.Unix(until, 0)) {
			t.Errorf("%q lets in", token)
		}
	})
}

func FuzzCookies(f *testing.F) {
	for _, s := range []string{"a=1; titrate_preview=x; b=2", "titrate_preview=x", ";;titrate_preview=;", " titrate_preview =x", "titrate_preview", "a=titrate_preview=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		rest := withoutCookie([]string{line, "z=9"}, PreviewParam)
		if v := cookieValue(rest, PreviewParam); v != "" {
			t.Errorf("%q keeps the token %q", line, v)
		}
		// What Go's own parser reads of the others stays as it is.
		parse := func(lines []string) (out []string) {
			for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).Cookies() {
				if c.Name != PreviewParam {
					out = append(out, c.Name+"="+c.Value)
				}
			}
			return out
		}
		if was, is := parse([]string{line, "z=9"}), parse(rest); !slices.Equal(was, is) {
			t.Errorf("%q: %v became %v", line, was, is)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"a=1&titrate_preview=x&b=2", "titrate_preview", "&&titrate_preview=", "a=titrate_preview"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		rest := withoutQuery(raw, PreviewParam)
		if queryValue(rest, PreviewParam) != "" {
			t.Errorf("%q keeps the token", raw)
		}
		if !strings.Contains(raw, PreviewParam) && rest != raw {
			t.Errorf("%q became %q", raw, rest)
		}
	})
}
