package certificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// explain says why a certificate was not got, and what to do about it.
func explain(host string, err error, now time.Time) string {
	var p acme.Problem
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &p):
		return problemText(host, p)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the CA's own certificate is not valid at %s, which the clock of this machine says: set the clock", stamp(now))
	case errors.As(err, &unknown):
		return "the CA's own certificate is signed by nobody known here: --acme-ca-root FILE names who signs it"
	case errors.As(err, &dns):
		return "the CA cannot be reached: its name is not found from here: " + dns.Error()
	case errors.As(err, &op):
		return "the CA cannot be reached: " + op.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the CA did not finish in %v", attemptTime)
	}
	return err.Error()
}

// problemText is what a CA's problem means (RFC 8555, 6.7).
func problemText(host string, p acme.Problem) string {
	for _, sub := range p.Subproblems {
		if p.Detail == "" {
			p.Detail = sub.Detail
		}
	}
	said := ": it says: " + p.Detail
	switch p.Type {
	case acme.ProblemTypeRateLimited:
		return "the CA has been asked too often" + said
	case acme.ProblemTypeDNS:
		return fmt.Sprintf("the CA does not find %s: let its A or AAAA record lead to this machine%s", host, said)
	case acme.ProblemTypeConnection, acme.ProblemTypeTLS:
		return fmt.Sprintf("the CA does not reach %s: its ports 80 and 443 must lead to this gateway%s", host, said)
	case acme.ProblemTypeUnauthorized, acme.ProblemTypeIncorrectResponse:
		return fmt.Sprintf("another machine answers the CA for %s, or something before this gateway does%s", host, said)
	case acme.ProblemTypeCAA:
		return fmt.Sprintf("a CAA record of %s names other CAs%s", host, said)
	case acme.ProblemTypeRejectedIdentifier:
		return fmt.Sprintf("the CA gives no certificate for %s%s", host, said)
	}
	return "the CA refuses" + said
}

var retryAfter = regexp.MustCompile(`retry after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC`)

// notBefore is until when a CA that was asked too often wants to be left alone; zero
// where it was not. Let's Encrypt says it in its sentence, and nothing passes the
// header on; one that says nothing is left alone for an hour.
func notBefore(err error, now time.Time) time.Time {
	var p acme.Problem
	if !errors.As(err, &p) || p.Type != acme.ProblemTypeRateLimited {
		return time.Time{}
	}
	if m := retryAfter.FindStringSubmatch(p.Detail); m != nil {
		if t, err := time.Parse(time.DateTime, m[1]); err == nil {
			return t
		}
	}
	return now.Add(time.Hour)
}
