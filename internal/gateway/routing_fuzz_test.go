package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"titrate/internal/rollout"
)

// FuzzRewrite holds a rewritten path against what the route's path and the request's mean,
// decoded.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"/a", "/a/b", "/%61/b%2Fc", "/a/%20?x=%zz", "/a//b", "/a%2Fb"} {
		f.Add(s, "/new", "/a")
	}
	f.Fuzz(func(t *testing.T, target, prefix, path string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(u.Path, "/") || !strings.HasPrefix(prefix, "/") || !strings.HasPrefix(path, "/") || url.PathEscape(prefix+path) != strings.ReplaceAll(prefix+path, "/", "%2F") {
			return
		}
		a := (&front{g: &Gateway{}}).arrival(&http.Request{Method: "GET", URL: u, Host: "h", Header: http.Header{}})
		r := routesOf(Workload{Paths: []rollout.Route{{Path: path, Rewrite: &rollout.Rewrite{Prefix: &prefix}}}}, nil)[0]
		if !r.matches(&query{arrival: a}) {
			return
		}
		got := r.rewritten(a)
		plain, err := url.PathUnescape(got)
		want := strings.TrimRight(prefix, "/") + u.Path[len(r.path):]
		if want == "" {
			want = "/"
		}
		if err != nil || plain != want {
			t.Errorf("%q below %q becomes %q (%q), not %q: %v", target, path, got, plain, want, err)
		}
		if strings.ContainsAny(got, "?# \r\n") {
			t.Errorf("%q becomes %q", target, got)
		}
	})
}

// FuzzParameter holds a parameter's value against what net/url reads.
func FuzzParameter(f *testing.F) {
	for _, s := range []string{"a=b", "x=1&a=b+c&a=d", "a", "%61=%20", "a=%zz&a=1", "&&a="} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, raw, name string) {
		vs, err := url.ParseQuery(raw)
		if err != nil || name == "" {
			_, _ = parameter(raw, name)
			return
		}
		got, ok := parameter(raw, name)
		if ok != vs.Has(name) || got != vs.Get(name) {
			t.Errorf("%q has %q as %q (%t), not %q", raw, name, got, ok, vs.Get(name))
		}
	})
}
