package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"
)

// ACME says which CA is asked (RFC 8555), and how this machine proves that a host
// is its own: a path over HTTP (http-01), a certificate over TLS (tls-alpn-01, RFC
// 8737). Hosts are those of [Stock.SetHosts]: no client makes it ask for another.
type ACME struct {
	CA    string // URL of its directory; empty: Let's Encrypt
	Email string // told to the CA; may be empty
	Roots string // file with the CA's own roots, PEM; empty: the system's
	// HTTP and HTTPS are where the gateway listens: the CA's ports 80 and 443 must
	// lead there. An empty one is not used for proofs.
	HTTP, HTTPS string
	// Wait is how long to wait after so many failures in a row; nil: 2 min to 1 h,
	// which stays within what Let's Encrypt bears of failures in an hour.
	Wait func(failed int) time.Duration

	storage *certmagic.FileStorage
	issuer  *certmagic.ACMEIssuer
	magic   *certmagic.Config
}

// challengeProtocol is what a client speaks that wants a tls-alpn-01 proof.
const challengeProtocol = "acme-tls/1"

// attemptTime bounds one attempt at the CA.
const attemptTime = 3 * time.Minute

// open wires certmagic. What it does for us is one attempt: account, order, proof,
// certificate, files. When to try, and what is served, is decided here, so that both
// can be told; its own cache holds nothing.
func (a *ACME) open(cfg Config) error {
	roots, err := pool(a.Roots)
	if err != nil {
		return err
	}
	if a.CA == "" {
		a.CA = certmagic.LetsEncryptProductionCA
	}
	if a.Wait == nil {
		a.Wait = wait
	}
	a.storage = &certmagic.FileStorage{Path: filepath.Join(cfg.Dir, "acme")}
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil }, Logger: zap.NewNop(),
	})
	// Its errors come back to the caller; what it logs beside is not for people.
	a.magic = certmagic.New(cache, certmagic.Config{Storage: a.storage, Logger: zap.NewNop(), DisableARI: true})
	t := certmagic.ACMEIssuer{
		CA: a.CA, TestCA: a.CA, Email: a.Email, Agreed: true, TrustedRoots: roots, Logger: zap.NewNop(),
		DisableDistributedSolvers: true, DisableHTTPChallenge: a.HTTP == "", DisableTLSALPNChallenge: a.HTTPS == "",
		CertObtainTimeout: attemptTime,
	}
	for _, on := range []struct {
		addr string
		port *int
	}{{a.HTTP, &t.AltHTTPPort}, {a.HTTPS, &t.AltTLSALPNPort}} {
		if on.addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(on.addr)
		if err == nil {
			*on.port, err = strconv.Atoi(port)
		}
		if err != nil {
			return fmt.Errorf("read the address %s: %w", on.addr, err)
		}
		t.ListenHost = host // it looks whether somebody listens there: the gateway does
	}
	a.issuer = certmagic.NewACMEIssuer(a.magic, t)
	a.magic.Issuers = []certmagic.Issuer{asker{a.issuer}}
	return nil
}

// asker hides that certmagic's issuer checks names first and may prompt for an
// e-mail address on the way: names are chosen before, and nobody sits there.
type asker struct{ certmagic.Issuer }

func pool(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the system's own
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA's roots: %w", err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the CA's roots hold no certificate in PEM form\n  where   %s", path)
	}
	return p, nil
}

// files is where the certificate for a host is, once it was got.
func (a *ACME) files(host string) Files {
	key := a.issuer.IssuerKey()
	return Files{
		a.storage.Filename(certmagic.StorageKeys.SiteCert(key, host)),
		a.storage.Filename(certmagic.StorageKeys.SitePrivateKey(key, host)),
	}
}

// get has a certificate for host made, once. A new key each time.
func (a *ACME) get(ctx context.Context, host string) (*pair, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	// With one that is there already this renews it, and else obtains the first.
	if err := a.magic.RenewCertSync(ctx, host, true); err != nil {
		return nil, err
	}
	p, err := load(a.files(host))
	if err != nil {
		return nil, err
	}
	p.acme = true
	return p, nil
}

var errNoProof = errors.New("a CA asks for a proof that nobody is to give")

// proof is the certificate that shows the CA that this machine answers for host.
func (a *ACME) proof(host string) (*tls.Certificate, error) {
	c, ok := certmagic.GetACMEChallenge(host)
	if !ok {
		return nil, errNoProof
	}
	return acmez.TLSALPN01ChallengeCert(c.Challenge)
}

// Proof is what the CA must be answered at a path of a host over HTTP; ok is false
// where it asks for nothing that we know of.
func (s *Stock) Proof(host, path string) (text string, ok bool) {
	if s.cfg.ACME == nil {
		return "", false
	}
	c, ok := certmagic.GetACMEChallenge(host)
	if !ok || path != c.HTTP01ResourcePath() {
		return "", false
	}
	return c.KeyAuthorization, true
}

// tries are the attempts at a host's next certificate that have failed in a row.
type tries struct {
	running bool
	failed  int
	why     string
	next    time.Time
}

// wait is the time after a number of failures.
func wait(failed int) time.Duration {
	steps := []time.Duration{2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute}
	if failed <= len(steps) {
		return steps[max(0, failed-1)]
	}
	return time.Hour
}

// atOnce is how many hosts' certificates are asked for at one time.
const atOnce = 4

// ask begins what is due. Each attempt runs beside, and ends with ctx.
func (s *Stock) ask(ctx context.Context, asking *sync.WaitGroup) {
	if s.cfg.ACME == nil {
		return
	}
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	running := 0
	for _, t := range s.tries {
		if t.running {
			running++
		}
	}
	wanted := map[string]bool{}
	for _, h := range s.hosts {
		wanted[h] = true
		if !s.wants(h, now) || running >= atOnce {
			continue
		}
		t := s.tries[h]
		if t == nil {
			t = &tries{}
			s.tries[h] = t
		}
		if t.running || now.Before(t.next) {
			continue
		}
		t.running = true
		running++
		asking.Go(func() { s.try(ctx, h, t) })
	}
	for h, t := range s.tries {
		if !wanted[h] && !t.running {
			delete(s.tries, h)
		}
	}
}

// wants reports whether the CA should be asked for a host. Guarded by mu.
func (s *Stock) wants(host string, now time.Time) bool {
	for _, p := range s.own {
		if p.covers(host) && p.holds(now) {
			return false
		}
	}
	p := s.got[host]
	return p == nil || !p.covers(host) || p.due(now)
}

// try asks once and notes what came of it.
func (s *Stock) try(ctx context.Context, host string, t *tries) {
	p, err := s.cfg.ACME.get(ctx, host)
	if ctx.Err() != nil && err != nil {
		return // this process ends
	}
	now := s.cfg.Clock()
	s.mu.Lock()
	t.running = false
	if err == nil {
		s.got[host] = p
		delete(s.tries, host)
		s.cfg.Log.Info("certificate", slog.String("host", host), slog.Time("until", p.Leaf.NotAfter))
	} else {
		t.failed++
		t.why, t.next = explain(host, err, now), now.Add(s.cfg.ACME.Wait(t.failed))
		if until := notBefore(err, now); until.After(t.next) {
			t.next = until
		}
		s.cfg.Log.Warn("no certificate", slog.String("host", host), slog.String("why", t.why), slog.Time("next", t.next))
	}
	s.mu.Unlock()
	s.put()
	s.nudge()
}
