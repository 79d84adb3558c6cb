package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Config is what a gateway is made with. The zero value of every field but those
// that say otherwise means its default.
type Config struct {
	Logger *slog.Logger     // default: discards
	Clock  func() time.Time // wall clock of windows, stamps and tokens; default time.Now

	// Epoch names the process in windows. Required: windows of two processes
	// must not be taken for one another's.
	Epoch string
	// After is a cursor that the first window must exceed: the last one given
	// out before a restart. Cursors follow the clock, so 0 is right unless the
	// clock was set back.
	After uint64
	// BeforeClose is called just before windows close, so that resources can be
	// sampled and handed to [Gateway.AddResource] in step with them.
	BeforeClose func()

	// OnCut is called when a damage budget was spent: [Gateway.Damage] should be kept, and
	// told. What is drawn goes to stable already (R26).
	OnCut func()

	InternalPort  int            // port of the listener for calls between workloads; 0: there is none
	PreviewDomain string         // what preview host names end in; default "localhost"
	TrustedProxy  []netip.Prefix // public clients whose X-Forwarded-* headers are believed
	ProxyProtocol bool           // those of TrustedProxy begin each connection with a header of the PROXY protocol

	// Own answers at 127.0.0.1 of the listener for calls between workloads, where no
	// workload is, and is counted for nobody; nil: nothing is there.
	Own http.Handler

	Certificates Certificates // for TLS; nil: there is none
	Control      Control      // the server's own host; zero: it has none

	Ring  int           // seconds of closed windows kept; default 900
	Drain time.Duration // for versions that name none, and at the end of Serve; default 30 s
	// StreamDrain is how long what lives long (WebSocket, server-sent events, gRPC) may go
	// on after [Gateway.Relieve]: closed one by one in the second half of it. Default 1 h.
	StreamDrain time.Duration
	// IdleGrace is how long kept-alive connections may send one more request
	// after the end of Serve was asked for; default 2 s.
	IdleGrace time.Duration

	HeaderTimeout time.Duration // for a request's head; default 10 s
	IdleTimeout   time.Duration // between requests of a connection; default 75 s
	StallTimeout  time.Duration // for a client that neither sends its body nor takes its response; default 60 s
	// HalfClosed is how long a client that has said that it sends no more is taken to wait for
	// its answer, and for each piece of it (RFC 9112, 9.6): one that has left says the same.
	// Default 5 s.
	HalfClosed      time.Duration
	ConnectTimeout  time.Duration // to an instance; default 3 s
	ResponseTimeout time.Duration // from the request's end to the response's head: then 504; default 60 s. A function has its own

	AccessLog AccessLog

	MaxHeader   int // bytes of a head; default 64 KiB
	MaxInFlight int // requests and connections at once; above it 503; default 20,000
}

// Validate reports the first field with a value that cannot be, by its name.
func (c Config) Validate() error {
	if c.Epoch == "" {
		return errors.New("gateway config: Epoch is empty")
	}
	if err := c.AccessLog.validate(); err != nil {
		return err
	}
	if c.InternalPort < 0 || c.InternalPort > 65535 {
		return fmt.Errorf("gateway config: InternalPort %d is not a port", c.InternalPort)
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"Ring", c.Ring}, {"MaxHeader", c.MaxHeader}, {"MaxInFlight", c.MaxInFlight}} {
		if n.value < 0 {
			return fmt.Errorf("gateway config: %s is negative: %d", n.name, n.value)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"Drain", c.Drain},
		{"StreamDrain", c.StreamDrain},
		{"IdleGrace", c.IdleGrace},
		{"HeaderTimeout", c.HeaderTimeout},
		{"IdleTimeout", c.IdleTimeout},
		{"StallTimeout", c.StallTimeout},
		{"HalfClosed", c.HalfClosed},
		{"ConnectTimeout", c.ConnectTimeout},
		{"ResponseTimeout", c.ResponseTimeout},
	} {
		if d.value < 0 {
			return fmt.Errorf("gateway config: %s is negative: %s", d.name, d.value)
		}
	}
	return nil
}

// withDefaults fills what was left out.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.PreviewDomain == "" {
		c.PreviewDomain = defaultPreviewDomain
	}
	for _, n := range []struct {
		value *int
		by    int
	}{{&c.Ring, 900}, {&c.MaxHeader, 64 << 10}, {&c.MaxInFlight, 20_000}} {
		if *n.value == 0 {
			*n.value = n.by
		}
	}
	for _, d := range []struct {
		value *time.Duration
		by    time.Duration
	}{
		{&c.Drain, 30 * time.Second},
		{&c.StreamDrain, time.Hour},
		{&c.IdleGrace, 2 * time.Second},
		{&c.HeaderTimeout, 10 * time.Second},
		{&c.IdleTimeout, 75 * time.Second},
		{&c.StallTimeout, time.Minute},
		{&c.HalfClosed, 5 * time.Second},
		{&c.ConnectTimeout, 3 * time.Second},
		{&c.ResponseTimeout, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.by
		}
	}
	return c
}
