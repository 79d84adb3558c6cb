// Package sigv4 checks that a request was signed by somebody who knows a secret key:
// AWS's Signature Version 4, in the Authorization header or, presigned, in the address.
//
// Source: "AWS Signature Version 4 for API requests" and "Create a signed AWS API
// request" of the AWS IAM user guide.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Skew is how far a signature's time may be from the clock.
const Skew = 5 * time.Minute

// Error is why a request is not let in. Code is AWS's own, which SDKs know.
type Error struct {
	Code   string
	Status int
	Why    string
}

// Error says what is wrong; it holds no part of a key.
func (e *Error) Error() string { return e.Code + ": " + e.Why }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Status: http.StatusForbidden, Why: fmt.Sprintf(format, args...)}
}

// Verifier checks requests to one service.
type Verifier struct {
	Service string // "lambda"
	// Secret is the secret key of an access key; false: nobody knows it.
	Secret func(accessKey string) (string, bool)
	Now    func() time.Time
}

const (
	algorithm = "AWS4-HMAC-SHA256"
	stamp     = "20060102T150405Z"
	unsigned  = "UNSIGNED-PAYLOAD"
)

// Verify returns whose request it is, or an [*Error]. The body is what the caller has
// read of it, whole. Any region is taken: there is one.
func (v Verifier) Verify(r *http.Request, body []byte) (accessKey string, err error) {
	s, err := read(r)
	if err != nil {
		return "", err
	}
	if err := v.timely(s); err != nil {
		return "", err
	}
	if s.service != v.Service {
		return "", refuse("SignatureDoesNotMatch", "Credential should be scoped to correct service: %q", v.Service)
	}
	secret, known := v.Secret(s.accessKey)
	if !known {
		return "", &Error{Code: "UnrecognizedClientException", Status: http.StatusForbidden, Why: "The security token included in the request is invalid."}
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	payload, err := s.payload(r.Header.Get("X-Amz-Content-Sha256"), digest)
	if err != nil {
		return "", err
	}
	canonical, err := s.canonical(r, payload)
	if err != nil {
		return "", err
	}
	hashed := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{algorithm, s.at.Format(stamp), s.scope(), hex.EncodeToString(hashed[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(mac(key, toSign))), []byte(s.signature)) != 1 {
		return "", refuse("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return s.accessKey, nil
}

// timely refuses signatures of another time.
func (v Verifier) timely(s signature) error {
	now := v.Now()
	switch {
	case s.day != s.at.Format("20060102"):
		return refuse("SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: %q", s.day)
	case s.at.After(now.Add(Skew)):
		return refuse("SignatureDoesNotMatch", "Signature not yet current: %s is later than %s", s.at.Format(stamp), now.UTC().Add(Skew).Format(stamp))
	case s.presigned && now.After(s.at.Add(s.expires)):
		return refuse("AccessDenied", "Request has expired: it was good until %s", s.at.Add(s.expires).Format(stamp))
	case !s.presigned && now.After(s.at.Add(Skew)):
		return refuse("SignatureDoesNotMatch", "Signature expired: %s is now earlier than %s", s.at.Format(stamp), now.UTC().Add(-Skew).Format(stamp))
	}
	return nil
}

// payload is what stands for the body in what was signed.
func (s signature) payload(said, digest string) (string, error) {
	switch {
	case s.presigned && (said == "" || said == unsigned):
		return unsigned, nil
	case said == "":
		return digest, nil
	case subtle.ConstantTimeCompare([]byte(said), []byte(digest)) != 1:
		return "", refuse("SignatureDoesNotMatch", "the body is not what X-Amz-Content-Sha256 says")
	}
	return digest, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
