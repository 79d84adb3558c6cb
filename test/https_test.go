package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// commandCertify puts a certificate for a host, signed by itself, into a folder, over
// what is there. What names it is NAME.crt and NAME.key.
func commandCertify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: certify FOLDER NAME HOST")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	ts.Check(err)
	now := time.Now()
	c := &x509.Certificate{SerialNumber: serial, DNSNames: args[2:], NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, args[1]+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(filepath.Join(dir, args[1]+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// commandSecure asks for a path of a host over plain HTTP until it is led to HTTPS, and
// there gets the answer with exactly the certificate of a file.
func commandSecure(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: secure HOST PATH ANSWER CERTIFICATE")
	}
	file, err := os.ReadFile(ts.MkAbs(args[3]))
	ts.Check(err)
	trust := x509.NewCertPool()
	if !trust.AppendCertsFromPEM(file) {
		ts.Fatalf("%s holds no certificate", args[3])
	}
	until(ts, func() (string, bool) {
		got, err := overTLS(ts, trust, args[0], args[1])
		if err != nil {
			got = err.Error()
		}
		return got, err == nil && got == args[2]
	})
}

// secured is where the gateway listens with TLS, and beside it.
type secured struct{ HTTPS, HTTP string }

func secureAddresses(ts *testscript.TestScript) (at secured) {
	text, err := os.ReadFile(filepath.Join(ts.Getenv("DATA"), "node", "https.json"))
	ts.Check(err)
	ts.Check(json.Unmarshal(text, &at))
	return at
}

func overTLS(ts *testscript.TestScript, trust *x509.CertPool, host, path string) (string, error) {
	at := secureAddresses(ts)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, ServerName: host}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(url string) (*http.Response, string, error) {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return nil, "", err
		}
		req.Host = host
		res, err := c.Do(req)
		if err != nil {
			return nil, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res, strings.TrimSpace(string(b)), err
	}
	res, _, err := get("http://" + at.HTTP + path)
	if err != nil {
		return "", err
	}
	if want := "https://" + host; res.StatusCode != http.StatusPermanentRedirect || !strings.HasPrefix(res.Header.Get("Location"), want) {
		return "", fmt.Errorf("plain HTTP: %s to %q", res.Status, res.Header.Get("Location"))
	}
	res, answer, err := get("https://" + at.HTTPS + path)
	if err == nil && res.ProtoMajor != 2 {
		return "", errors.New("not HTTP/2 but " + res.Proto)
	}
	return answer, err
}
