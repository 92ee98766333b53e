package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// TLSFiles say where a listener's certificate is, and whom it trusts.
type TLSFiles struct {
	CertFile, KeyFile string
	ClientCAFile      string // empty: clients show no certificate
	ClientRequired    bool
	MinVersion        uint16
}

// Certificates is the TLS configuration of a listener, read again when its
// files change. New connections get the new one; those that are open go on.
type Certificates struct {
	mu      sync.Mutex
	files   TLSFiles
	stamp   string
	current atomic.Pointer[tls.Config]
}

// LoadCertificates reads the files.
func LoadCertificates(files TLSFiles) (*Certificates, error) {
	c := &Certificates{}
	return c, c.Use(files)
}

// Use reads other files, or the same ones again. On an error what was read
// before stays in use.
func (c *Certificates) Use(files TLSFiles) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stamp := files.stamp() // first: a change while reading is seen the next time
	next, err := files.read()
	if err != nil {
		return err
	}
	c.files, c.stamp = files, stamp
	c.current.Store(next)
	return nil
}

func (f TLSFiles) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: the certificate cannot be used: %w", err)
	}
	if now := time.Now(); cert.Leaf != nil && now.After(cert.Leaf.NotAfter) {
		return nil, fmt.Errorf("tls: the certificate in %s expired on %s", f.CertFile, cert.Leaf.NotAfter.Format(time.DateOnly))
	}
	out := &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: max(f.MinVersion, tls.VersionTLS12),
	}
	if f.ClientCAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(f.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("tls: the client authorities cannot be read: %w", err)
	}
	out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if f.ClientRequired {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls: %s contains no certificate", f.ClientCAFile)
	}
	return out, nil
}

// stamp changes with the files.
func (f TLSFiles) stamp() string {
	var out strings.Builder
	for _, path := range []string{f.CertFile, f.KeyFile, f.ClientCAFile} {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&out, "%d %d;", info.ModTime().UnixNano(), info.Size())
		}
	}
	return out.String()
}

// Config is for a listener that outlives its certificates.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
		// Go wants one to begin with; every connection gets that of current.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("tls: no certificate") },
	}
}

// watchInterval is how often the files are looked at.
const watchInterval = 10 * time.Second

// Watch reads the files again whenever they have changed, until ctx ends.
func (c *Certificates) Watch(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if changed, err := c.refresh(); err != nil {
			log.ErrorContext(ctx, "changed certificate not used; the old one stays", "err", err)
		} else if changed {
			log.InfoContext(ctx, "certificate reloaded")
		}
	}
}

func (c *Certificates) refresh() (changed bool, err error) {
	c.mu.Lock()
	files, stamp := c.files, c.stamp
	c.mu.Unlock()
	if files.stamp() == stamp {
		return false, nil
	}
	return true, c.Use(files)
}
