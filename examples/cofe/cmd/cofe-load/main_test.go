package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRun_exitsByWhatItSaw(t *testing.T) {
	t.Parallel()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{}`)) }))
	t.Cleanup(good.Close)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(bad.Close)
	for name, c := range map[string]struct {
		args []string
		want int
		says string
	}{
		"all well":        {[]string{"-url", good.URL, "-rate", "50", "-duration", "1100ms"}, 0, "0 failed"},
		"failures":        {[]string{"-url", bad.URL, "-rate", "50", "-duration", "500ms"}, 1, "→ 502"},
		"as JSON":         {[]string{"-url", good.URL, "-rate", "50", "-duration", "200ms", "-json"}, 0, `"report"`},
		"no books":        {[]string{"-url", good.URL, "-rate", "50", "-duration", "200ms", "-check", bad.URL}, 1, "ask orders"},
		"an unknown flag": {[]string{"-speed", "9"}, 2, "-speed"},
		"no rate":         {[]string{"-rate", "0"}, 2, "rate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := run(c.args, &out, &out); code != c.want || !strings.Contains(out.String(), c.says) {
				t.Errorf("exit code %d, want %d:\n%s", code, c.want, out.String())
			}
		})
	}
}
