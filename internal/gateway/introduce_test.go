package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"titrate/internal/rollout"
)

func introduction(tb testing.TB, version byte) string {
	tb.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP("203.0.113.7"), Port: 4711}, &net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 80})
	b, err := h.Format()
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// TestProxyProtocol_aTrustedProxySaysOfWhomAConnectionIs in both versions, on all fronts.
func TestProxyProtocol_aTrustedProxySaysOfWhomAConnectionIs(t *testing.T) {
	t.Parallel()
	cfg := Config{TrustedProxy: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, ProxyProtocol: true, HeaderTimeout: 2 * time.Second}
	says := func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		fmt.Fprint(w, req.Header.Get("X-Forwarded-For"))
	}
	r, _ := one(t, cfg, says)
	const get = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n"
	const moved = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ sent, want string }{
		"v1":         {introduction(t, 1) + get, "200 203.0.113.7"}, // whose own word of others is not believed
		"v2":         {introduction(t, 2) + get, "200 203.0.113.7"},
		"v2 moved":   {introduction(t, 2) + moved, "200 "},
		"its checks": {string(local) + get, "200 198.51.100.1, 127.0.0.1"},
		"unknown":    {"PROXY UNKNOWN\r\n" + get, "200 198.51.100.1, 127.0.0.1"},
		"none":       {get, "EOF"},
		"long":       {"PROXY TCP4 " + strings.Repeat("1", 200) + get, "EOF"},
		"junk":       {"PROXY TCP4 a b c d\r\n" + get, "EOF"},
	} {
		for _, at := range []int{len(c.sent), 1, 20} {
			got := r.ask(t, 1, "GET", c.sent[:at], c.sent[at:])
			closed := c.want == "EOF" && len(got) == 1 && strings.Contains(got[0], "reset")
			if len(got) != 1 || !closed && !strings.Contains(got[0], c.want) {
				t.Errorf("%s, cut at %d: %q, not %q", name, at, got, c.want)
			}
		}
	}

	s := newSecureRigOf(t, cfg)
	b := newBackend(t, "a", says)
	s.split(t, map[rollout.Version]rollout.Weight{1: rollout.Full})
	s.SetInstances(orders, 1, []Endpoint{b.Endpoint})
	for _, h2 := range []bool{false, true} {
		conf := s.h1.Transport.(*http.Transport).TLSClientConfig.Clone()
		conf.ServerName = "example.com"
		tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: h2}
		c, err := net.Dial("tcp", s.secure)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, introduction(t, 1))
		if h2 {
			conf.NextProtos = []string{"h2"}
		}
		tr.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			tc := tls.Client(c, conf)
			return tc, tc.HandshakeContext(ctx)
		}
		res, err := (&http.Client{Transport: tr}).Get("https://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "203.0.113.7" || h2 != (res.ProtoMajor == 2) {
			t.Errorf("over TLS: %s %q", res.Proto, body)
		}
		res.Body.Close()
		tr.CloseIdleConnections()
	}

	u, _ := one(t, Config{ProxyProtocol: true}, says) // nobody is trusted
	if got := u.ask(t, 1, "GET", introduction(t, 1)+get); !strings.HasPrefix(got[0], "400") {
		t.Errorf("a stranger's word: %q", got)
	}
}

// FuzzReadIntroduction reads nothing behind a header, and never panics.
func FuzzReadIntroduction(f *testing.F) {
	for _, v := range []byte{1, 2} {
		f.Add([]byte(introduction(f, v) + "GET"))
	}
	f.Add([]byte("PROXY UNKNOWN\r\nGET"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		got := make(chan []byte, 1)
		go func() {
			defer theirs.Close()
			_, _ = theirs.Write(sent)
		}()
		at, err := readIntroduction(ours, time.Now().Add(time.Minute))
		go func() { rest, _ := io.ReadAll(ours); got <- rest }()
		rest := <-got
		if err == nil && !bytes.HasSuffix(sent, rest) {
			t.Errorf("%v %q behind %q", at, rest, sent)
		}
	})
}
