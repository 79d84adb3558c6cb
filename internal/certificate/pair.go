package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Files are a certificate with its chain, and its key, both PEM.
type Files struct{ Cert, Key string }

// pair is a certificate that is held, with where it is from.
type pair struct {
	*tls.Certificate
	files Files
	acme  bool
}

// load reads a pair. Its leaf is parsed.
func load(f Files) (*pair, error) {
	c, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("a certificate and its key cannot be read: %w\n  where   %s\n          %s", err, f.Cert, f.Key)
	}
	if c.Leaf == nil { // the standard library parses it, unless it is told not to
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, fmt.Errorf("a certificate cannot be read: %w\n  where   %s", err, f.Cert)
		}
	}
	return &pair{Certificate: &c, files: f}, nil
}

// covers reports whether the certificate is for host, whatever the time.
func (p *pair) covers(host string) bool { return p.Leaf.VerifyHostname(host) == nil }

// holds reports whether it is valid at a time.
func (p *pair) holds(now time.Time) bool {
	return !now.Before(p.Leaf.NotBefore) && !now.After(p.Leaf.NotAfter)
}

// due reports whether it is time to have the next one: a third of its life is left.
func (p *pair) due(now time.Time) bool {
	life := p.Leaf.NotAfter.Sub(p.Leaf.NotBefore)
	return now.After(p.Leaf.NotAfter.Add(-life / 3))
}

// issuer is who signed it, by the name that people know.
func (p *pair) issuer() string {
	n := p.Leaf.Issuer
	if len(n.Organization) > 0 && n.CommonName != "" {
		return n.Organization[0] + " (" + n.CommonName + ")"
	}
	return n.CommonName
}

// look is how a file was when it was last looked at.
type look struct {
	at   time.Time
	size int64
}

func lookAt(path string) look {
	info, err := os.Stat(path) // through links: whoever renews may turn one to the next file
	if err != nil {
		return look{}
	}
	return look{info.ModTime(), info.Size()}
}

// found lists the pairs of a folder: NAME.crt beside NAME.key. There may be no folder.
func found(dir string) ([]Files, error) {
	entries, err := os.ReadDir(dir)
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for certificates: %w", err)
	}
	var out []Files
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".crt"); ok && !e.IsDir() {
			out = append(out, Files{filepath.Join(dir, e.Name()), filepath.Join(dir, name+".key")})
		}
	}
	return out, nil
}
