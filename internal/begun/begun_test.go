package begun_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"titrate/internal/begun"
)

func TestListener_servesWhatWasReadOfAConnection(t *testing.T) {
	t.Parallel()
	real, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	l := begun.NewListener(real.Addr())
	served := make(chan error, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })}
	go func() { served <- s.Serve(l) }()
	go func() {
		c, err := real.Accept()
		if err != nil {
			return
		}
		head := make([]byte, 10)
		if _, err := io.ReadFull(c, head); err == nil {
			l.Give(c, head)
		}
	}()
	res, err := http.Get("http://" + real.Addr().String() + "/beans")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "/beans" {
		t.Errorf("%q, %v", body, err)
	}
	s.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	near, far := net.Pipe()
	l.Give(near, nil)
	if _, err := far.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that nobody takes any more is left open")
	}
}
