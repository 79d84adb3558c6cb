package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signature is what a request says of how it was signed.
type signature struct {
	accessKey, day, region, service string
	headers                         []string // signed, in lower case, in order
	signature                       string
	at                              time.Time
	presigned                       bool
	expires                         time.Duration // of one that is presigned
}

func (s signature) scope() string { return s.day + "/" + s.region + "/" + s.service + "/aws4_request" }

// read finds the signature of a request.
func read(r *http.Request) (signature, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return signature{}, refuse("IncompleteSignature", "the address cannot be read: %v", err)
	}
	header := r.Header.Get("Authorization")
	switch {
	case header != "":
		return fromHeader(header, r.Header.Get("X-Amz-Date"))
	case query.Get("X-Amz-Algorithm") != "":
		return fromQuery(query)
	}
	return signature{}, refuse("MissingAuthenticationToken", "Missing Authentication Token: sign the request by AWS Signature Version 4")
}

func fromHeader(header, date string) (signature, error) {
	kind, rest, _ := strings.Cut(header, " ")
	if kind != algorithm {
		return signature{}, refuse("IncompleteSignature", "the Authorization header does not begin with %s", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; !ok || twice {
			return signature{}, refuse("IncompleteSignature", "the Authorization header is no list of NAME=VALUE, each once")
		}
		parts[name] = value
	}
	return assemble(parts["Credential"], parts["SignedHeaders"], parts["Signature"], date)
}

func fromQuery(query url.Values) (signature, error) {
	if query.Get("X-Amz-Algorithm") != algorithm {
		return signature{}, refuse("IncompleteSignature", "X-Amz-Algorithm is not %s", algorithm)
	}
	s, err := assemble(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"), query.Get("X-Amz-Date"))
	if err != nil {
		return s, err
	}
	const week = 7 * 24 * 60 * 60
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || seconds < 1 || seconds > week {
		return s, refuse("AuthorizationQueryParametersError", "X-Amz-Expires must be 1 to %d seconds", week)
	}
	s.presigned, s.expires = true, time.Duration(seconds)*time.Second
	return s, nil
}

// assemble reads the parts that both forms have.
func assemble(credential, headers, hexed, date string) (signature, error) {
	// An access key may hold slashes: the scope is what stands last.
	fields := strings.Split(credential, "/")
	if len(fields) < 5 || fields[len(fields)-1] != "aws4_request" {
		return signature{}, refuse("IncompleteSignature", "Credential is not KEY/YYYYMMDD/REGION/SERVICE/aws4_request")
	}
	n := len(fields)
	s := signature{accessKey: strings.Join(fields[:n-4], "/"), day: fields[n-4], region: fields[n-3], service: fields[n-2], signature: hexed}
	var err error
	if s.at, err = time.Parse(stamp, date); err != nil {
		return s, refuse("IncompleteSignature", "X-Amz-Date is no time such as 20261128T080000Z")
	}
	if raw, err := hex.DecodeString(hexed); err != nil || len(raw) != 32 || strings.ToLower(hexed) != hexed {
		return s, refuse("IncompleteSignature", "Signature is not 64 hexadecimal digits in lower case")
	}
	s.headers = strings.Split(headers, ";")
	if !slices.Contains(s.headers, "host") || !slices.IsSorted(s.headers) {
		return s, refuse("IncompleteSignature", "SignedHeaders must hold host, and be in order")
	}
	return s, nil
}
