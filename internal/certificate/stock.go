package certificate

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"titrate/internal/world"
)

// Config says where certificates come from.
type Config struct {
	// Dir is the folder of certificates. Pairs that somebody put there, NAME.crt
	// beside NAME.key, serve the hosts that they name; a change is seen within
	// seconds. What was got by ACME is below acme/. It may be missing.
	Dir string
	// Pair is one more, from elsewhere; it also answers clients that name no host.
	Pair Files
	// ACME gets certificates for the hosts that no file serves; nil: nobody does.
	ACME *ACME

	Log     *slog.Logger
	Clock   func() time.Time // default time.Now
	Every   time.Duration    // how often files are looked at; default 2 s
	Changed func()           // told when something changed; may be nil
}

// Stock holds certificates. Its methods may be called from any goroutine.
type Stock struct {
	cfg   Config
	shown atomic.Pointer[shelf] // never nil
	kick  chan struct{}

	mu    sync.Mutex
	hosts []string          // that want one
	own   map[Files]*pair   // the last good one of each
	bad   map[Files]string  // why one cannot be read now
	looks map[string]look   // of every file of own and bad
	got   map[string]*pair  // by ACME, by host
	tries map[string]*tries // at the CA, by host
}

// shelf is what handshakes choose from. It never changes.
type shelf struct {
	byHost map[string]*pair
	others []*pair // own ones, for names that no host is by
	any    *pair   // for clients that name no host
}

// New reads the certificates there are. A bad Pair is an error: somebody just named
// it. Any other bad file is a problem of the hosts that it should serve.
func New(cfg Config) (*Stock, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stock{
		cfg: cfg, kick: make(chan struct{}, 1), own: map[Files]*pair{}, bad: map[Files]string{},
		got: map[string]*pair{}, tries: map[string]*tries{},
	}
	if cfg.Pair != (Files{}) {
		if _, err := load(cfg.Pair); err != nil {
			return nil, err
		}
	}
	if cfg.ACME != nil {
		if err := cfg.ACME.open(cfg); err != nil {
			return nil, err
		}
	}
	s.shown.Store(&shelf{})
	s.read()
	s.put()
	return s, nil
}

// SetHosts says which hosts want a certificate: these and no others. Names that no
// public CA answers for (see [Public]) are left out.
func (s *Stock) SetHosts(hosts []string) {
	var wanted []string
	for _, h := range hosts {
		if Public(h) {
			wanted = append(wanted, strings.ToLower(h))
		}
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	s.mu.Lock()
	same := slices.Equal(wanted, s.hosts)
	s.hosts = wanted
	s.mu.Unlock()
	if same {
		return
	}
	s.fetch(wanted)
	s.put()
	s.nudge()
}

// Public reports whether a host is a name that a public CA could answer for: not
// one of this machine's own, and no address.
func Public(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || !strings.Contains(host, ".") {
		return false
	}
	for _, own := range []string{".localhost", ".local", ".internal", ".home.arpa"} { // RFC 6761, 6762, 8375
		if strings.HasSuffix(host, own) {
			return false
		}
	}
	return true
}

// fetch takes what ACME has left of earlier times for the hosts.
func (s *Stock) fetch(hosts []string) {
	if s.cfg.ACME == nil {
		return
	}
	for _, h := range hosts {
		p, err := load(s.cfg.ACME.files(h))
		if err != nil {
			continue // there is none yet
		}
		p.acme = true
		s.mu.Lock()
		s.got[h] = p
		s.mu.Unlock()
	}
}

// Certificate chooses by the name that the client asks for. Without one that fits
// it returns nothing, and the client is told that the name is not known here.
func (s *Stock) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.cfg.ACME != nil && slices.Equal(hello.SupportedProtos, []string{challengeProtocol}) {
		return s.cfg.ACME.proof(hello.ServerName)
	}
	if p := s.shown.Load().find(strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))); p != nil {
		return p.Certificate, nil
	}
	return nil, nil //nolint:nilnil // crypto/tls then says unrecognized_name
}

func (sh *shelf) find(name string) *pair {
	if name == "" {
		return sh.any
	}
	if p := sh.byHost[name]; p != nil {
		return p
	}
	for _, p := range sh.others {
		if p.covers(name) {
			return p
		}
	}
	return sh.any
}

// Covers reports whether a host is served over TLS with a certificate that is for
// it and valid by the clock of this machine.
func (s *Stock) Covers(host string) bool {
	p := s.shown.Load().find(host)
	return p != nil && p.covers(host) && p.holds(s.cfg.Clock())
}

// Run looks after the files and has certificates made and renewed until ctx ends.
func (s *Stock) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		if s.read() {
			s.put()
		}
		s.ask(ctx, &asking)
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		case <-tick.C:
		}
	}
}

func (s *Stock) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// read takes in what has changed of the own files. A pair that cannot be read, as
// in the middle of being replaced, leaves the last good one in its place.
func (s *Stock) read() (changed bool) {
	all, err := found(s.cfg.Dir)
	if err != nil {
		s.cfg.Log.Warn("certificates are not read anew", slog.Any("error", err))
		return false
	}
	if s.cfg.Pair != (Files{}) {
		all = append(all, s.cfg.Pair)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	looks := map[string]look{}
	for _, f := range all {
		looks[f.Cert], looks[f.Key] = lookAt(f.Cert), lookAt(f.Key)
		if s.looks[f.Cert] == looks[f.Cert] && s.looks[f.Key] == looks[f.Key] && (s.own[f] != nil || s.bad[f] != "") {
			continue
		}
		changed = true
		p, err := load(f)
		if err != nil {
			s.bad[f] = err.Error()
			s.cfg.Log.Warn("a certificate cannot be read; the one before stays", slog.String("file", f.Cert), slog.Any("error", err))
			continue
		}
		delete(s.bad, f)
		s.own[f] = p
		s.cfg.Log.Info("certificate", slog.String("file", f.Cert), slog.Any("names", p.Leaf.DNSNames), slog.Time("until", p.Leaf.NotAfter))
	}
	before := len(s.own) + len(s.bad)
	maps.DeleteFunc(s.own, func(f Files, _ *pair) bool { return !slices.Contains(all, f) })
	maps.DeleteFunc(s.bad, func(f Files, _ string) bool { return !slices.Contains(all, f) })
	s.looks = looks
	return changed || before != len(s.own)+len(s.bad)
}

// put lays out what handshakes choose from.
func (s *Stock) put() {
	now := s.cfg.Clock()
	s.mu.Lock()
	sh := &shelf{byHost: map[string]*pair{}, any: s.own[s.cfg.Pair]}
	for _, p := range s.own {
		sh.others = append(sh.others, p)
	}
	slices.SortFunc(sh.others, func(a, b *pair) int {
		return cmp.Or(b.Leaf.NotAfter.Compare(a.Leaf.NotAfter), strings.Compare(a.files.Cert, b.files.Cert))
	})
	for _, h := range s.hosts {
		if p := s.best(h, sh.others, now); p != nil {
			sh.byHost[h] = p
		}
	}
	s.shown.Store(sh)
	s.mu.Unlock()
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

// best is the certificate for a host: a file before what ACME got, unless only the
// latter is valid. Guarded by mu.
func (s *Stock) best(host string, own []*pair, now time.Time) *pair {
	var best *pair
	for _, p := range append(own[:len(own):len(own)], s.got[host]) {
		if p == nil || !p.covers(host) {
			continue
		}
		if best == nil || !best.holds(now) && p.holds(now) {
			best = p
		}
	}
	return best
}

// Hosts says how each host that wants a certificate stands, by name.
func (s *Stock) Hosts() []world.Certificate {
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shown.Load()
	out := make([]world.Certificate, 0, len(s.hosts))
	for _, h := range s.hosts {
		c := world.Certificate{Host: h}
		p := sh.byHost[h]
		if p != nil {
			c.Source, c.File, c.Issuer = world.CertificateFile, p.files.Cert, p.issuer()
			c.From, c.Until = p.Leaf.NotBefore, p.Leaf.NotAfter
			if p.acme {
				c.Source = world.CertificateACME
			}
		}
		c.Problem = s.problem(h, p, now)
		if t := s.tries[h]; t != nil {
			c.Next, c.Failed = t.next.Round(0), t.failed
		}
		out = append(out, c)
	}
	return out
}

// problem is why a host is not, or may soon not be, served over TLS. Guarded by mu.
func (s *Stock) problem(host string, p *pair, now time.Time) string {
	var all []string
	switch {
	case p == nil:
	case now.Before(p.Leaf.NotBefore):
		all = append(all, fmt.Sprintf("the certificate is valid from %s on, and the clock of this machine says %s: one of them is wrong", stamp(p.Leaf.NotBefore), stamp(now)))
	case now.After(p.Leaf.NotAfter):
		all = append(all, fmt.Sprintf("the certificate has expired at %s; the clock of this machine says %s", stamp(p.Leaf.NotAfter), stamp(now)))
	}
	if t := s.tries[host]; t != nil && t.why != "" {
		all = append(all, t.why)
	}
	for f, why := range s.bad {
		if p == nil || p.files == f {
			all = append(all, why)
		}
	}
	if p == nil && len(all) == 0 {
		all = append(all, "there is none yet")
		if s.cfg.ACME == nil {
			all[0] = "no file serves it, and no CA is asked"
		}
	}
	return strings.Join(all, "; ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
