// Package load plays the marketplace's customers: open-loop arrivals, journeys
// from the shelf to the order, live figures, and afterwards a check that every
// fils is where it should be.
package load

import (
	"errors"
	"net/http"
	"time"
)

// Config says what to play.
type Config struct {
	URL         string            // of the store: "http://127.0.0.1:7080"
	Host        string            // Host header, where the store is found by name; empty: URL's
	Rate        float64           // requests a second, on average
	Duration    time.Duration     // 0: until the context ends
	Concurrency int               // requests at the same time, at most; 0: 512
	Timeout     time.Duration     // for one request; 0: 10 s
	Seed        uint64            // of all choices; 0: 1
	OnSecond    func(Stats)       // called after every second, from one goroutine; may be nil
	Transport   http.RoundTripper // nil: connections of its own
}

// Validate names what is wrong.
func (c Config) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("url: the store's address is needed")
	case c.Rate <= 0 || c.Rate > 100_000:
		return errors.New("rate: between 0 and 100000 requests a second")
	case c.Duration < 0 || c.Timeout < 0 || c.Concurrency < 0:
		return errors.New("duration, timeout, concurrency: not below 0")
	}
	return nil
}

func (c Config) defaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = 512
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c
}
