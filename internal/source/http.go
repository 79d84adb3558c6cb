package source

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
	// maxAsked bounds what a fetching client may send: the commits it wants and has.
	maxAsked = 16 << 20
	// stall is how long a client may neither send nor take a byte.
	stall = 2 * time.Minute
)

var (
	gitPath     = regexp.MustCompile(`^/git/([^/]+(?:/[^/]+)?)\.git/(info/refs|git-upload-pack|git-receive-pack)$`)
	gitProtocol = regexp.MustCompile(`^[a-z0-9=:.-]{1,128}$`)
)

// ServeHTTP speaks git's smart HTTP protocol (gitprotocol-http(5)) under
// /git/APP.git, and of an app's further repositories under /git/APP/NAME.git. It trusts its caller to have let the request through.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := gitPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.Error(w, "not a git address: git remote add titrate http://HOST:PORT/git/APP.git", http.StatusNotFound)
		return
	}
	repo, what := m[1], m[2]
	if !repoName.MatchString(repo) {
		http.Error(w, fmt.Sprintf("error[%s]: %q cannot be the name of an app or repository: lower-case letters, digits and -, a letter first", codeName, repo), http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pushes and fetches at once; try again in a few seconds", http.StatusServiceUnavailable)
		return
	}
	switch {
	case what == "info/refs" && r.Method == http.MethodGet:
		s.advertise(w, r, repo)
	case what != "info/refs" && r.Method == http.MethodPost:
		s.exchange(w, r, repo, what)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// advertise answers the first request of a fetch or push: which refs there are.
func (s *Server) advertise(w http.ResponseWriter, r *http.Request, repo string) {
	service := r.URL.Query().Get("service")
	if service != uploadPack && service != receivePack {
		http.Error(w, "this remote speaks git's smart protocol only", http.StatusForbidden)
		return
	}
	dir, err := s.known(repo)
	if err != nil {
		if service == uploadPack {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		dir = s.empty()
	}
	out, err := s.git.run(r.Context(), dir, protocol(r), strings.TrimPrefix(service, "git-"), "--stateless-rpc", "--advertise-refs", ".")
	if err != nil {
		s.fail(w, r, repo, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	line := "# service=" + service + "\n"
	fmt.Fprintf(w, "%04x%s0000%s", len(line)+4, line, out)
}

// exchange answers the second request: objects go one way or the other.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, repo, service string) {
	if r.Header.Get("Content-Type") != "application/x-"+service+"-request" {
		http.Error(w, "content type is not that of "+service, http.StatusUnsupportedMediaType)
		return
	}
	// A refused pack is git's to explain (receive.maxInputSize); this is the end of patience.
	limit := int64(maxAsked)
	if service == receivePack {
		limit = s.cfg.MaxPush + 1<<20
	}
	link, err := newLink(w, r, limit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-result")
	// git may end with the request half read, and then nobody can tell where the next one begins.
	w.Header().Set("Connection", "close")
	if service == receivePack {
		err = s.do(r.Context(), func(ctx context.Context) { s.receive(ctx, repo, s.cfg.Who(r), protocol(r), link) })
	} else {
		err = s.send(r.Context(), repo, protocol(r), link)
	}
	if err != nil {
		s.fail(w, r, repo, err)
	}
}

// send serves a fetch.
func (s *Server) send(ctx context.Context, repo string, env []string, l *link) error {
	dir, err := s.known(repo)
	if err != nil {
		return err
	}
	return l.attach(s.git.command(ctx, dir, env, "upload-pack", "--stateless-rpc", "."))
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, repo string, err error) {
	switch {
	case errors.Is(err, ErrUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrStopped):
		http.Error(w, "the server is stopping; push again in a moment", http.StatusServiceUnavailable)
	case r.Context().Err() != nil: // the client is gone
	default:
		s.cfg.Log.Warn("git request failed", slog.String("repo", repo), slog.String("path", r.URL.Path), slog.Any("error", err))
		http.Error(w, "git failed; the server's log says why", http.StatusInternalServerError)
	}
}

// protocol passes on which version of git's protocol the client asks for.
func protocol(r *http.Request) []string {
	if v := r.Header.Get("Git-Protocol"); gitProtocol.MatchString(v) {
		return []string{"GIT_PROTOCOL=" + v}
	}
	return nil
}

// link carries bytes between a client and a git process.
type link struct {
	body io.Reader
	w    http.ResponseWriter
	rc   *http.ResponseController
	gone bool
}

func newLink(w http.ResponseWriter, r *http.Request, limit int64) (*link, error) {
	l := &link{w: w, rc: http.NewResponseController(w)}
	// git answers (progress, keep-alives) before it has read the last byte. Where
	// it is not supported, as with HTTP/2, it is not needed either.
	_ = l.rc.EnableFullDuplex()
	l.body = deadlineReader{l.rc, r.Body}
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(l.body)
		if err != nil {
			return nil, fmt.Errorf("read a compressed body: %w", err)
		}
		l.body = z
	default:
		return nil, errors.New("content encoding is not gzip")
	}
	l.body = io.LimitReader(l.body, limit)
	return l, nil
}

type deadlineReader struct {
	rc *http.ResponseController
	r  io.Reader
}

func (d deadlineReader) Read(p []byte) (int, error) {
	_ = d.rc.SetReadDeadline(time.Now().Add(stall))
	return d.r.Read(p)
}

// Write passes on what git says at once. When the client has gone it goes on
// as if nothing were: git must not die of a closed window.
func (l *link) Write(p []byte) (int, error) {
	if !l.gone {
		_ = l.rc.SetWriteDeadline(time.Now().Add(stall))
		_, err := l.w.Write(p)
		if err == nil {
			err = l.rc.Flush()
		}
		l.gone = err != nil
	}
	return len(p), nil
}

// attach runs a git process between the client's request and answer.
func (l *link) attach(c *exec.Cmd) error {
	stdin, err := c.StdinPipe()
	if err != nil {
		return fmt.Errorf("start git: %w", err)
	}
	c.Stdout = l
	if err := c.Start(); err != nil {
		return fmt.Errorf("start git: %w", err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		defer stdin.Close()
		_, _ = io.Copy(stdin, l.body) // a half-sent request is git's to judge
	}()
	err = c.Wait()
	// git may end without having read everything: do not wait for the rest.
	_ = l.rc.SetReadDeadline(time.Now())
	<-copied
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil // git has told its client why
	}
	return err
}
