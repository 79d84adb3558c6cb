package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
)

// Certificates is who the gateway asks about TLS. Methods are called from many
// goroutines, with host names in normal form.
type Certificates interface {
	// Certificate chooses for a handshake, as tls.Config.GetCertificate does.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Covers reports whether host is served with a certificate that is valid now:
	// then plain HTTP leads to HTTPS.
	Covers(host string) bool
	// Proof is what a CA must be answered at a path of a host over plain HTTP.
	Proof(host, path string) (text string, ok bool)
}

// tlsConfig is what both sides of TLS agree on: TLS 1.2 and above, HTTP/2 before 1.1.
func tlsConfig(c Certificates) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: c.Certificate,
		NextProtos:     []string{"h2", "http/1.1", "acme-tls/1"}, // the last for a CA that asks for a proof (RFC 8737)
	}
}

// wellKnown is where a CA looks for its proof (RFC 8555, 8.3).
const wellKnown = "/.well-known/acme-challenge/"

// proves answers a CA. What it does not know is somebody else's proof, and goes on.
func (f *front) proves(w http.ResponseWriter, r *http.Request) bool {
	if f.g.cfg.Certificates == nil || f.internal || r.TLS != nil || !strings.HasPrefix(r.URL.Path, wellKnown) {
		return false
	}
	host, ok := hostName(r.Host)
	if !ok {
		return false
	}
	text, ok := f.g.cfg.Certificates.Proof(host, r.URL.Path)
	if !ok {
		return false
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, text) //nolint:errcheck // the CA asks again
	return true
}

// leads sends a plain request on to HTTPS, where that is served with a certificate
// that the client can check. The method and the body stay as they are (308).
func (f *front) leads(w http.ResponseWriter, r *http.Request, id string) bool {
	if !f.plain || strings.HasPrefix(r.URL.Path, wellKnown) {
		return false
	}
	host, ok := hostName(r.Host)
	if !ok || !f.g.cfg.Certificates.Covers(host) {
		return false
	}
	if f.g.securePort != "443" {
		host = net.JoinHostPort(host, f.g.securePort)
	}
	h := w.Header()
	h.Set("Location", "https://"+host+r.URL.RequestURI())
	h.Set("Via", via)
	h.Set(headerRequestID, id)
	w.WriteHeader(http.StatusPermanentRedirect)
	return true
}
