package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client asks a ledger over HTTP.
type Client struct {
	URL  string // without /ledger
	Host string // sent as the Host header where it is not empty
	HTTP *http.Client
}

// Append writes an entry. It may be called again with the same entry after any error.
// Where the pickup is in another state, the error is ErrState and the answer has the
// pickup as it is.
func (c Client) Append(ctx context.Context, e Entry) (Answer, error) {
	var a Answer
	status, err := c.do(ctx, http.MethodPost, "/ledger/entries", e, &a)
	if err != nil {
		return a, err
	}
	switch status {
	case http.StatusOK, http.StatusCreated:
		return a, nil
	case http.StatusConflict:
		err = ErrState
	case http.StatusNotFound:
		err = ErrUnknown
	case http.StatusUnprocessableEntity:
		err = ErrOther
	case http.StatusBadRequest:
		err = ErrInvalid
	default:
		return a, fmt.Errorf("the ledger answered %d: %s", status, a.Error)
	}
	return a, fmt.Errorf("%w (%s)", err, a.Error)
}

// Pickup returns one; the error is ErrUnknown where there is none.
func (c Client) Pickup(ctx context.Context, id string) (Pickup, error) {
	var p Pickup
	err := c.get(ctx, "/ledger/pickups/"+url.PathEscape(id), &p)
	return p, err
}

// Find lists pickups, those that waited longest first.
func (c Client) Find(ctx context.Context, q Query) ([]Pickup, error) {
	v := url.Values{}
	if q.State != "" {
		v.Set("state", string(q.State))
	}
	if q.Customer != "" {
		v.Set("customer", q.Customer)
	}
	if !q.Before.IsZero() {
		v.Set("before", q.Before.UTC().Format(time.RFC3339Nano))
	}
	if q.Unsettled {
		v.Set("unsettled", "true")
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var page struct{ Pickups []Pickup }
	err := c.get(ctx, "/ledger/pickups?"+v.Encode(), &page)
	return page.Pickups, err
}

// Entries lists what was written after an entry, the oldest first; none: that was the
// last.
func (c Client) Entries(ctx context.Context, after int64) ([]Entry, error) {
	var page struct{ Entries []Entry }
	err := c.get(ctx, "/ledger/entries?after="+strconv.FormatInt(after, 10), &page)
	return page.Entries, err
}

// Summary is the book in figures.
func (c Client) Summary(ctx context.Context) (Summary, error) {
	var s Summary
	err := c.get(ctx, "/ledger/summary", &s)
	return s, err
}

func (c Client) get(ctx context.Context, path string, into any) error {
	status, err := c.do(ctx, http.MethodGet, path, nil, into)
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return ErrUnknown
	case status == http.StatusServiceUnavailable:
		return ErrNotYet
	case status != http.StatusOK:
		return fmt.Errorf("the ledger answered GET %s with %d", path, status)
	}
	return nil
}

// do reads the answer into a value whatever the status is.
func (c Client) do(ctx context.Context, method, path string, body, into any) (int, error) {
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("ask the ledger: %w", err)
		}
		text = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+path, text)
	if err != nil {
		return 0, fmt.Errorf("ask the ledger: %w", err)
	}
	if c.Host != "" {
		req.Host = c.Host
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask the ledger: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("ask the ledger: %w", err)
	}
	if err := json.Unmarshal(said, into); err != nil && resp.StatusCode < http.StatusMultipleChoices {
		return 0, fmt.Errorf("the ledger answered %s %s with %.100q: %w", method, path, said, err)
	}
	return resp.StatusCode, nil
}
