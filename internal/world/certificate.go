package world

import "time"

// Certificate says how a host name stands that is to be served over TLS.
type Certificate struct {
	Host    string            `json:"host"`
	Source  CertificateSource `json:"source,omitempty"` // empty: there is none
	File    string            `json:"file,omitempty"`   // where it is read from
	Issuer  string            `json:"issuer,omitempty"`
	From    time.Time         `json:"from,omitzero"`
	Until   time.Time         `json:"until,omitzero"`
	Problem string            `json:"problem,omitempty"` // why there is none, it is not valid, or the next one does not come
	Failed  int               `json:"failed,omitempty"`  // attempts at the next one, in a row
	Next    time.Time         `json:"next,omitzero"`     // when it is tried again
}

// CertificateSource says where a certificate comes from.
type CertificateSource string

// The sources.
const (
	CertificateFile CertificateSource = "file" // somebody put it there
	CertificateACME CertificateSource = "acme" // a CA was asked
)
