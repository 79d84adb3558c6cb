package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"titrate/internal/api"
	"titrate/internal/certificate"
	"titrate/internal/durable"
	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
	"titrate/internal/world"
)

// HTTPS says how titrate is reached over TLS. The node reads it from the data folder,
// so that it goes on when the server is dead.
type HTTPS struct {
	Secure string `json:"https"`              // host:port of the TLS listener; empty: there is none
	Plain  string `json:"http,omitempty"`     // host:port of plain HTTP beside it, which leads there
	Cert   string `json:"tls_cert,omitempty"` // a certificate's file
	Key    string `json:"tls_key,omitempty"`
	CA     string `json:"acme_ca,omitempty"` // directory URL; empty: Let's Encrypt; NoCA: none is asked
	Roots  string `json:"acme_ca_root,omitempty"`
	Email  string `json:"acme_email,omitempty"`
	Host   string `json:"host,omitempty"` // by which the server itself is reached; empty: from this machine only
}

// NoCA as a CA says that no certificate is to be asked for.
const NoCA = "off"

func (f folder) https() string { return f.at("node", "https.json") }

// sockets are those that it needs beside the others.
func (h HTTPS) sockets() []keeper.Socket {
	if h.Secure == "" {
		return nil
	}
	out := []keeper.Socket{{Name: socketSecure, Addr: h.Secure}}
	if h.Plain != "" {
		out = append(out, keeper.Socket{Name: socketPlain, Addr: h.Plain})
	}
	return out
}

// Check reads the files that were named and looks whether the host is free, so that
// what is wrong is said before anything on the data folder dir is started or let go.
func (h HTTPS) Check(dir string) error {
	if h.Secure == "" {
		return nil
	}
	if err := h.free(folder(dir)); err != nil {
		return err
	}
	for _, path := range []string{h.Cert, h.Key, h.Roots} {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			return fmt.Errorf("error[T0720]: a file for TLS cannot be read\n  where   %s\n  saw     %w\n  help    name one that this user can read", path, err)
		}
	}
	cfg := certificate.Config{Pair: certificate.Files{Cert: h.Cert, Key: h.Key}}
	if h.Roots != "" {
		cfg.ACME = &certificate.ACME{Roots: h.Roots}
	}
	if _, err := certificate.New(cfg); err != nil {
		return fmt.Errorf("error[T0720]: %w\n  help    PEM: the certificate with its chain in one file, its key in the other", err)
	}
	return nil
}

// write keeps it for the node, with the ports that the sockets really have.
func (h HTTPS) write(dir folder, k *keeper.Keeper) error {
	if h.Secure == "" {
		if err := os.Remove(dir.https()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end HTTPS: %w", err)
		}
		return nil
	}
	h.Secure, h.Plain = k.Addr(socketSecure), k.Addr(socketPlain)
	b, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return fmt.Errorf("write how HTTPS is served: %w", err)
	}
	return durable.WriteFile(dir.https(), append(b, '\n'))
}

// readHTTPS reads it back; without any it is empty.
func readHTTPS(dir folder) (h HTTPS, err error) {
	b, err := os.ReadFile(dir.https())
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		return h, fmt.Errorf("read how HTTPS is served: %w\n  where   %s", err, dir.https())
	}
	return h, nil
}

// url is the server's own; empty where it has no host.
func (h HTTPS) url() string {
	if h.Host == "" {
		return ""
	}
	return strings.Replace(h.form(), "HOST", h.Host, 1)
}

// control is how the gateway leads to the server.
func (h HTTPS) control(addr, secret string) gateway.Control {
	if h.Host == "" {
		return gateway.Control{}
	}
	return gateway.Control{Host: h.Host, Addr: addr, Header: api.HeaderGateway, Secret: secret}
}

// free is an error when a host that is to be the server's is an app's: its traffic
// would go to the server.
func (h HTTPS) free(dir folder) error {
	if _, err := os.Stat(dir.node()); h.Host == "" || err != nil { // nothing has run here yet
		return nil //nolint:nilerr // likewise
	}
	snapshot, err := node.OpenSnapshot(dir.node())
	if err != nil {
		return err
	}
	wanted, err := snapshot.Load()
	if err != nil {
		return nil //nolint:nilerr // the node says what is wrong with it, and what it serves
	}
	for _, w := range wanted.Workloads {
		if slices.Contains(w.Hosts, h.Host) {
			return hostTaken(h.Host, fmt.Sprintf("%s of %s in %s is reached by it", w.Key.Workload, w.Key.App, w.Key.Env), "titrate up --host NAME with another name, or give the app another host first")
		}
	}
	return nil
}

func hostTaken(host, saw, help string) error {
	return fmt.Errorf("error[T0722]: the host %s cannot be both an app's and the server's\n  saw     %s\n  help    %s", host, saw, help)
}

// form is a URL on the TLS listener with HOST in the host's place; empty without one.
func (h HTTPS) form() string {
	if h.Secure == "" {
		return ""
	}
	if _, port, err := net.SplitHostPort(h.Secure); err == nil && port != "443" {
		return "https://HOST:" + port
	}
	return "https://HOST"
}

// stock holds the certificates; nil without a TLS listener.
func (h HTTPS) stock(dir folder, m *machine) (*certificate.Stock, error) {
	if h.Secure == "" {
		return nil, nil //nolint:nilnil // there is nothing to hold
	}
	cfg := certificate.Config{Dir: dir.at("certs"), Pair: certificate.Files{Cert: h.Cert, Key: h.Key}, Log: m.log, Changed: m.nudge}
	if h.CA != NoCA {
		cfg.ACME = &certificate.ACME{CA: h.CA, Email: h.Email, Roots: h.Roots, HTTP: h.Plain, HTTPS: h.Secure}
	}
	return certificate.New(cfg)
}

// listeners are the gateway's, as far as the keeper holds them.
func listeners(in *keeper.Inherited, h HTTPS) (on gateway.Listeners, err error) {
	if on.Public, err = in.Listener(socketGateway); err != nil {
		return on, err
	}
	if on.Internal, err = in.Listener(socketInternal); err != nil || h.Secure == "" {
		return on, err
	}
	if on.Secure, err = in.Listener(socketSecure); err != nil || h.Plain == "" {
		return on, err
	}
	on.Plain, err = in.Listener(socketPlain)
	return on, err
}

// hosts are those that a world is reached by, and the server's own.
func (h HTTPS) hosts(w world.Wanted) []string {
	var out []string
	if h.Host != "" {
		out = append(out, h.Host)
	}
	for _, ww := range w.Workloads {
		if !ww.Worker {
			for _, host := range ww.Hosts {
				if !strings.HasPrefix(host, "*.") { // a CA proves those by DNS alone
					out = append(out, host)
				}
			}
		}
	}
	return out
}
