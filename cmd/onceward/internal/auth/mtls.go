package auth

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
)

// CertSource says which part of a client certificate names the principal.
type CertSource string

const (
	// CertURI is the subject alternative name of type URI, such as a SPIFFE id.
	CertURI CertSource = "uri"
	// CertDNS is the subject alternative name of type DNS.
	CertDNS CertSource = "dns"
	// CertEmail is the subject alternative name of type email.
	CertEmail CertSource = "email"
	// CertCN is the common name of the subject.
	CertCN CertSource = "cn"
)

// CertConfig of a Cert.
type CertConfig struct {
	// Method of its principals. Default "mtls".
	Method string
	// Source of their names. Default CertURI.
	Source CertSource
}

// Cert takes the principal from the client certificate of the connection.
// The server's TLS configuration decides which certificates are good: one that
// it has not verified (tls.VerifyClientCertIfGiven or stricter, with a pool of
// CAs) counts as none.
type Cert struct{ cfg CertConfig }

// NewCert returns a Cert, or what is wrong with its configuration.
func NewCert(cfg CertConfig) (*Cert, error) {
	cfg.Method = cmp.Or(cfg.Method, "mtls")
	cfg.Source = cmp.Or(cfg.Source, CertURI)
	if err := checkMethod(cfg.Method); err != nil {
		return nil, err
	}
	switch cfg.Source {
	case CertURI, CertDNS, CertEmail, CertCN:
		return &Cert{cfg}, nil
	}
	return nil, errors.New("auth: the name in a client certificate is taken from its uri, dns, email or cn")
}

// Authenticate implements Authenticator.
func (c *Cert) Authenticate(r *http.Request) (Principal, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return Principal{}, ErrNone
	}
	names := c.names(r.TLS.VerifiedChains[0][0])
	if len(names) != 1 || names[0] == "" {
		return Principal{}, rejected(fmt.Sprintf("the client certificate has %d names of type %s; it needs exactly one", len(names), c.cfg.Source))
	}
	// The source belongs to the name: a DNS name is not a common name.
	return Principal{Method: c.cfg.Method, Name: string(c.cfg.Source) + ":" + names[0]}, nil
}

func (c *Cert) names(leaf *x509.Certificate) (names []string) {
	switch c.cfg.Source {
	case CertURI:
		for _, u := range leaf.URIs {
			names = append(names, u.String())
		}
	case CertDNS:
		names = leaf.DNSNames
	case CertEmail:
		names = leaf.EmailAddresses
	case CertCN:
		if leaf.Subject.CommonName != "" {
			names = []string{leaf.Subject.CommonName}
		}
	}
	return names
}
