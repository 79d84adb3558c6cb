package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"titrate/internal/world"
)

// Client speaks to the node behind a unix socket. It implements the controller's
// Target, Router and Meter. A zero sequence or cursor means from the beginning.
type Client struct {
	http  *http.Client
	token string

	mu    sync.Mutex
	taken world.Stamp // the last stamp that the node acknowledged to this client
}

// NewClient returns a client of the node whose socket is at path and whose token
// is the one given.
func NewClient(path, token string) *Client {
	var d net.Dialer
	return &Client{token: token, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := d.DialContext(ctx, "unix", path)
			for patience, _ := ctx.Value(patienceKey{}).(time.Duration); err != nil && patience > 0 && ctx.Err() == nil; patience -= dialAgain {
				again := time.NewTimer(dialAgain)
				select {
				case <-ctx.Done():
				case <-again.C:
					c, err = d.DialContext(ctx, "unix", path)
				}
				again.Stop()
			}
			return c, err
		},
		MaxIdleConnsPerHost: 64,               // calls of functions come many at a time
		IdleConnTimeout:     30 * time.Second, // before the node lets an idle one go
	}}}
}

// A person's call waits for a node that is started again: nothing of it was sent yet. All
// else hears at once that the node is not there.
const (
	dialFor   = 3 * time.Second
	dialAgain = 20 * time.Millisecond
)

// patienceKey holds how long a context waits for the node to be there.
type patienceKey struct{}

// Ensure asks for the world w and returns when the node has applied and
// persisted it.
func (c *Client) Ensure(ctx context.Context, w world.Wanted) error {
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write the wanted world: %w", err)
	}
	if err := c.call(ctx, http.MethodPut, "/v1/world", body, nil); err != nil {
		return fmt.Errorf("ask the node for world %d.%d: %w", w.Stamp.Token, w.Stamp.Revision, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = w.Stamp
	return nil
}

// Split asks for the same world as Ensure. The node takes instances and split in
// one request, so that there is nothing left to ask when Ensure has been
// acknowledged.
func (c *Client) Split(ctx context.Context, w world.Wanted) error {
	c.mu.Lock()
	done := c.taken == w.Stamp
	c.mu.Unlock()
	if done {
		return nil
	}
	return c.Ensure(ctx, w)
}

// Seen returns what the node sees as soon as its sequence is above after, or
// when ctx is about to end.
func (c *Client) Seen(ctx context.Context, after uint64) (world.Seen, error) {
	var s world.Seen
	if err := c.call(ctx, http.MethodGet, "/v1/seen"+pollQuery(ctx, after), nil, &s); err != nil {
		return s, fmt.Errorf("look at the node: %w", err)
	}
	return s, nil
}

// Served returns the split that the node's gateway gives in fact.
func (c *Client) Served(ctx context.Context) (world.Served, error) {
	var s world.Served
	if err := c.call(ctx, http.MethodGet, "/v1/served", nil, &s); err != nil {
		return s, fmt.Errorf("ask the node for its split: %w", err)
	}
	return s, nil
}

// Shares returns how each workload's requests were split in fact.
func (c *Client) Shares(ctx context.Context) ([]world.Shares, error) {
	var ss []world.Shares
	if err := c.call(ctx, http.MethodGet, "/v1/shares", nil, &ss); err != nil {
		return nil, fmt.Errorf("ask the node for its shares: %w", err)
	}
	return ss, nil
}

// Windows returns the closed windows above after, waiting for the next to close
// until ctx is about to end.
func (c *Client) Windows(ctx context.Context, after uint64) ([]world.VersionWindow, error) {
	var ws []world.VersionWindow
	if err := c.call(ctx, http.MethodGet, "/v1/windows"+pollQuery(ctx, after), nil, &ws); err != nil {
		return nil, fmt.Errorf("read the node's windows: %w", err)
	}
	return ws, nil
}

// Logs calls yield for each matching line until it returns false, the lines end,
// or ctx does.
func (c *Client) Logs(ctx context.Context, q world.LogQuery, yield func(world.LogLine) bool) error {
	body, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("ask for logs: %w", err)
	}
	resp, err := c.do(ctx, http.MethodPost, "/v1/logs", body)
	if err != nil {
		return fmt.Errorf("ask for logs: %w", err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l world.LogLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("read a log line: %w", err)
		}
		if !yield(l) {
			return nil
		}
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("read logs: %w", err)
	}
	return nil
}

// Metrics returns what the node has counted since it began, in the format that a request
// with that Accept header is answered in. The caller closes the body.
func (c *Client) Metrics(ctx context.Context, accept string) (contentType string, body io.ReadCloser, err error) {
	resp, err := c.send(ctx, http.MethodGet, "/v1/metrics", nil, http.Header{"Accept": {accept}})
	if err != nil {
		return "", nil, fmt.Errorf("ask the node for its metrics: %w", err)
	}
	return resp.Header.Get("Content-Type"), resp.Body, nil
}

// Stop ends every workload of the node and returns when all have ended.
func (c *Client) Stop(ctx context.Context) error {
	if err := c.call(ctx, http.MethodPost, "/v1/stop", nil, nil); err != nil {
		return fmt.Errorf("stop the node's workloads: %w", err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// do sends one request; an answer that is not 2xx becomes an error.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	return c.send(ctx, method, path, body, http.Header{})
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, head http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = head
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set(protocolHeader, strconv.Itoa(ProtocolVersion))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	err = refusedFor(resp)
	if resp.StatusCode == http.StatusConflict {
		return nil, fmt.Errorf("%w: %w", world.ErrStale, err)
	}
	return nil, err
}

// pollQuery asks the node to wait until shortly before ctx ends, so that it is
// the node who answers and not the deadline: on a busy machine too, where an answer
// may take a while to arrive.
func pollQuery(ctx context.Context, after uint64) string {
	q := "?after=" + strconv.FormatUint(after, 10)
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		spare := min(max(left/4, 200*time.Millisecond), 2*time.Second)
		if wait := left - spare; wait > 0 {
			q += "&wait=" + wait.String()
		}
	}
	return q
}
