package sigv4

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonical is the text of a request that is signed.
func (s signature) canonical(r *http.Request, payload string) (string, error) {
	var headers strings.Builder
	for _, name := range s.headers {
		value, ok := headerValue(r, name)
		if !ok {
			return "", refuse("SignatureDoesNotMatch", "the header %s was signed and is not there", name)
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	// What could change what is done must be signed, or anybody on the way may add it.
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(s.headers, lower) && (!s.presigned || lower != "x-amz-content-sha256") {
			return "", refuse("AccessDenied", "There were headers present in the request which were not signed: %s", lower)
		}
	}
	return strings.Join([]string{
		r.Method, path(r.URL), s.query(r.URL.RawQuery), headers.String(), strings.Join(s.headers, ";"), payload,
	}, "\n"), nil
}

// headerValue is a header's values as they are signed: spaces are one, and none at the ends.
func headerValue(r *http.Request, name string) (string, bool) {
	switch name {
	case "host":
		return r.Host, true
	case "content-length":
		if r.ContentLength >= 0 {
			return strconv.FormatInt(r.ContentLength, 10), true
		}
	}
	values, ok := r.Header[http.CanonicalHeaderKey(name)]
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(out, ","), ok
}

// path is the path as it is signed: encoded once more than it was sent, which is what all
// services but S3 do.
func path(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		return "/"
	}
	return encode(p, "/")
}

// query is the parameters as they are signed: in order, without the signature that stands
// among them.
func (s signature) query(raw string) string {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return ""
	}
	if s.presigned {
		delete(values, "X-Amz-Signature")
	}
	var pairs []string
	for _, name := range slices.SortedFunc(maps.Keys(values), byCode) {
		for _, v := range slices.SortedFunc(slices.Values(values[name]), byCode) {
			pairs = append(pairs, encode(name, "")+"="+encode(v, ""))
		}
	}
	return strings.Join(pairs, "&")
}

// byCode orders by what is written in the end.
func byCode(a, b string) int { return strings.Compare(encode(a, ""), encode(b, "")) }

// encode writes what RFC 3986 does not reserve as it is, and all else as %XX.
func encode(s, keep string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}
