package cli

import (
	"net"
	"net/url"
	"path/filepath"

	"github.com/spf13/pflag"

	"titrate/internal/daemon"
	"titrate/internal/manifest"
)

// httpsFlags are those of titrate up that serve over TLS.
func httpsFlags(f *pflag.FlagSet, h *daemon.HTTPS) {
	f.StringVar(&h.Secure, "https", "", "address to serve TLS on, :443; with it hosts get certificates by ACME, which agrees to the CA's terms")
	f.StringVar(&h.Host, "host", "", "host name by which the server itself is reached over TLS: titrate login https://NAME, git push https://NAME/APP.git")
	f.StringVar(&h.Plain, "http", "", "address of plain HTTP beside it, which leads to HTTPS (default: port 80 where --https has 443)")
	f.StringVar(&h.Cert, "tls-cert", "", "file of a certificate with its chain; more of them go to certs/NAME.crt and NAME.key in the data folder")
	f.StringVar(&h.Key, "tls-key", "", "file of its key")
	f.StringVar(&h.Email, "acme-email", "", "address that the CA may write to")
	f.StringVar(&h.CA, "acme-ca", "", `directory URL of the CA (default: Let's Encrypt); "off" asks none`)
	f.StringVar(&h.Roots, "acme-ca-root", "", "file with the CA's own roots")
}

// secure checks what was said of TLS and fills in what follows from it.
func (s *session) secure(h *daemon.HTTPS) error {
	if h.Secure == "" {
		if *h != (daemon.HTTPS{}) {
			return usage("there is no TLS to say something of\n  help    --https :443")
		}
		return nil
	}
	if h.Host != "" {
		if err := manifest.CheckHost(h.Host); err != nil {
			return usage("--host %s is no host name: %v\n  help    --host titrate.example.org", h.Host, err)
		}
	}
	host, port, err := net.SplitHostPort(h.Secure)
	if err == nil && h.Plain == "" && port == "443" {
		h.Plain = net.JoinHostPort(host, "80")
	}
	if (h.Cert == "") != (h.Key == "") {
		return usage("a certificate needs its key\n  help    --tls-cert FILE --tls-key FILE")
	}
	if u, err := url.Parse(h.CA); h.CA != "" && h.CA != daemon.NoCA && (err != nil || u.Scheme != "https" || u.Host == "") {
		return usage("--acme-ca %s is no https URL of a CA's directory\n  help    leave it out for Let's Encrypt; off asks no CA", h.CA)
	}
	for _, path := range []*string{&h.Cert, &h.Key, &h.Roots} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(s.Dir, *path)
		}
	}
	return nil
}

// httpsArgs are the flags again, for the keeper.
func httpsArgs(h daemon.HTTPS) (args []string) {
	for _, f := range [][2]string{
		{"--https", h.Secure},
		{"--http", h.Plain},
		{"--host", h.Host},
		{"--tls-cert", h.Cert},
		{"--tls-key", h.Key},
		{"--acme-email", h.Email},
		{"--acme-ca", h.CA},
		{"--acme-ca-root", h.Roots},
	} {
		if f[1] != "" {
			args = append(args, f[0], f[1])
		}
	}
	return args
}
