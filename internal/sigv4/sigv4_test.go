package sigv4_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"titrate/internal/sigv4"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

func verifier(now time.Time) sigv4.Verifier {
	return sigv4.Verifier{Service: "lambda", Now: func() time.Time { return now }, Secret: func(key string) (string, bool) {
		return secret, key == "AKIDEXAMPLE"
	}}
}

// signed is a request as AWS's own signer signs it.
func signed(tb testing.TB, method, address, body string, change func(*http.Request)) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "lambda", "local", noon)
	if err != nil {
		tb.Fatal(err)
	}
	return arrived(tb, r, body)
}

// arrived is the request as a server reads it.
func arrived(tb testing.TB, r *http.Request, body string) *http.Request {
	tb.Helper()
	got, err := http.NewRequestWithContext(context.Background(), r.Method, r.URL.String(), bytes.NewReader([]byte(body)))
	if err != nil {
		tb.Fatal(err)
	}
	got.Header, got.Host = r.Header.Clone(), r.URL.Host
	return got
}

func TestVerify_whatTheSDKSigns(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://127.0.0.1:7070/2015-03-31/functions/quotes/invocations",
		"http://127.0.0.1:7070/2015-03-31/functions/quotes/invocations?Qualifier=live",
		"http://127.0.0.1:7070/2015-03-31/functions/arn%3Aaws%3Alambda%3Alocal%3A0%3Afunction%3Aquotes/invocations?b=2&a=1&a-b=3&a=0&e=&sp=a%20b",
		"http://titrate.local/",
	} {
		for _, body := range []string{"", `{"cup":"☕"}`} {
			r := signed(t, http.MethodPost, address, body, func(r *http.Request) { r.Header.Set("X-Amz-Client-Context", " a   b ") })
			if who, err := verifier(noon.Add(time.Minute)).Verify(r, []byte(body)); err != nil || who != "AKIDEXAMPLE" {
				t.Errorf("%s %q: %q %v", address, body, who, err)
			}
		}
	}
}

func TestVerify_refusesWhatIsNotWhatWasSigned(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:7070/2015-03-31/functions/quotes/invocations?Qualifier=live"
	for name, c := range map[string]struct {
		change func(*http.Request)
		body   string
		now    time.Time
		code   string
	}{
		"another body":       {body: `{"cup":2}`, code: "SignatureDoesNotMatch"},
		"another path":       {change: func(r *http.Request) { r.URL.Path = "/2015-03-31/functions/payments/invocations" }, code: "SignatureDoesNotMatch"},
		"another query":      {change: func(r *http.Request) { r.URL.RawQuery = "Qualifier=2" }, code: "SignatureDoesNotMatch"},
		"another method":     {change: func(r *http.Request) { r.Method = http.MethodPut }, code: "SignatureDoesNotMatch"},
		"another host":       {change: func(r *http.Request) { r.Host = "evil.example" }, code: "SignatureDoesNotMatch"},
		"a header more":      {change: func(r *http.Request) { r.Header.Set("X-Amz-Invocation-Type", "Event") }, code: "AccessDenied"},
		"a header less":      {change: func(r *http.Request) { r.Header.Del("X-Amz-Tag") }, code: "SignatureDoesNotMatch"},
		"stale":              {now: noon.Add(6 * time.Minute), code: "SignatureDoesNotMatch"},
		"of the future":      {now: noon.Add(-6 * time.Minute), code: "SignatureDoesNotMatch"},
		"nobody":             {change: func(r *http.Request) { r.Header.Del("Authorization") }, code: "MissingAuthenticationToken"},
		"a basic one":        {change: func(r *http.Request) { r.Header.Set("Authorization", "Basic YTpi") }, code: "IncompleteSignature"},
		"a stranger":         {change: edit("AKIDEXAMPLE", "AKIDSTRANGER"), code: "UnrecognizedClientException"},
		"another service":    {change: edit("/lambda/", "/s3/"), code: "SignatureDoesNotMatch"},
		"another day":        {change: edit("20261128/local", "20261127/local"), code: "SignatureDoesNotMatch"},
		"without host":       {change: edit("host;", ""), code: "IncompleteSignature"},
		"a short signature":  {change: edit("Signature=", "Signature=00 "), code: "IncompleteSignature"},
		"no scope":           {change: edit("/aws4_request", ""), code: "IncompleteSignature"},
		"an unsigned body":   {change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, code: "SignatureDoesNotMatch"},
		"a date that is not": {change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, code: "IncompleteSignature"},
	} {
		const body = `{"cup":1}`
		r := signed(t, http.MethodPost, address, body, func(r *http.Request) { r.Header.Set("X-Amz-Tag", "one") })
		got, now := body, noon
		if c.change != nil {
			c.change(r)
		}
		if c.body != "" {
			got = c.body
		}
		if !c.now.IsZero() {
			now = c.now
		}
		who, err := verifier(now).Verify(r, []byte(got))
		var told *sigv4.Error
		if !errors.As(err, &told) || told.Code != c.code || who != "" || told.Status != http.StatusForbidden {
			t.Errorf("%s: %q %v, want %s", name, who, err, c.code)
		}
	}
}

func edit(old, with string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, with, 1))
	}
}

func TestVerify_presigned(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:7070/2015-03-31/functions/quotes/invocations?X-Amz-Expires=60&Qualifier=live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	address, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}, r, "UNSIGNED-PAYLOAD", "lambda", "local", noon)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := verifier(noon.Add(59*time.Second)).Verify(got, []byte("anything")); err != nil || who != "AKIDEXAMPLE" {
		t.Errorf("%q %v", who, err)
	}
	if _, err := verifier(noon.Add(61*time.Second)).Verify(got, nil); err == nil || !strings.Contains(err.Error(), "AccessDenied: Request has expired") {
		t.Error(err)
	}
	got.URL.RawQuery = strings.Replace(got.URL.RawQuery, "X-Amz-Expires=60", "X-Amz-Expires=600000000", 1)
	if _, err := verifier(noon).Verify(got, nil); err == nil || !strings.Contains(err.Error(), "X-Amz-Expires must be") {
		t.Error(err)
	}
}

// FuzzVerify changes a signed request: it is let in only if it is what was signed.
func FuzzVerify(f *testing.F) {
	const body = `{"cup":1}`
	good := signed(f, http.MethodPost, "http://127.0.0.1:7070/2015-03-31/functions/quotes/invocations?Qualifier=live", body, nil)
	f.Add(good.Header.Get("Authorization"), good.Header.Get("X-Amz-Date"), good.URL.RawQuery, body)
	f.Add("AWS4-HMAC-SHA256 Credential=/////aws4_request,SignedHeaders=host,Signature=", "20261128T120000Z", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=9", "")
	f.Fuzz(func(t *testing.T, header, date, query, payload string) {
		r := arrived(t, good, body)
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Amz-Date", date)
		r.URL.RawQuery = query
		_, err := verifier(noon).Verify(r, []byte(payload))
		if err == nil && (payload != body || r.URL.Query().Encode() != good.URL.Query().Encode()) {
			t.Fatalf("%q %q %q %q is let in", header, date, query, payload)
		}
	})
}
