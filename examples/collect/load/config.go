// Package load plays the customers of the collection service: open-loop arrivals, and
// afterwards a check that every pickup came to one end and every fils is where it should
// be.
package load

import (
	"errors"
	"net/http"
	"time"
)

// Config says what to play.
type Config struct {
	URL         string            // where the functions are served: "http://127.0.0.1:7080"
	Host        string            // Host header; empty: URL's
	Rate        float64           // requests a second, on average
	Duration    time.Duration     // 0: until the context ends
	Concurrency int               // requests at the same time, at most; 0: 256
	Timeout     time.Duration     // for one request; 0: 15 s
	Seed        uint64            // of all choices; 0: 1
	Transport   http.RoundTripper // nil: connections of its own
}

// Validate names what is wrong.
func (c Config) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("url: where are the functions served?")
	case !(c.Rate > 0 && c.Rate <= 100_000): // also no NaN
		return errors.New("rate: above 0, and at most 100000 requests a second")
	case c.Duration < 0 || c.Timeout < 0 || c.Concurrency < 0:
		return errors.New("duration, timeout, concurrency: not below 0")
	}
	return nil
}

func (c Config) defaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = 256
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c
}
