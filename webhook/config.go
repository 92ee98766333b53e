package webhook

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config of an Outbox. Name, URL and Secrets are required.
type Config struct {
	// Name of the endpoint; 1 to 64 of a-z, 0-9 and -. Messages wait under it:
	// another name is another outbox.
	Name string
	// URL that messages are posted to; https, unless AllowInsecure.
	URL string
	// Secrets sign the messages, each "whsec_" and base64 of 24 to 64 bytes.
	// All of them sign, so that a receiver can change from one to the next.
	Secrets []string
	// AllowInsecure also admits http, and receivers on loopback, private and
	// link-local addresses. Without it their addresses are refused when the
	// connection is made, whatever the name resolved to before.
	AllowInsecure bool

	// Timeout bounds one attempt. Default 15 s.
	Timeout time.Duration
	// MaxAttempts before a message is held for a person. Default 12.
	MaxAttempts int
	// FirstRetry is the pause after the first attempt; it doubles with each,
	// up to MaxRetry, and is lengthened at random by up to a quarter.
	// Default 5 s.
	FirstRetry time.Duration
	// MaxRetry is the longest pause. Default 1 h.
	MaxRetry time.Duration
	// Parallel bounds the attempts at the same time. Default 8.
	Parallel int
	// Retention is how long a delivered message is remembered. Default 72 h.
	Retention time.Duration
	// Interval is how often Run looks for messages that are due. Default 1 s.
	Interval time.Duration
	// StoreTimeout bounds one call of the store. Default 5 s.
	StoreTimeout time.Duration
	// Transport makes the requests. Default: one that follows the rules of
	// AllowInsecure and uses no proxy.
	Transport http.RoundTripper
	// Logger receives failed attempts. Default: discarded.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 15*time.Second)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 12)
	c.FirstRetry = cmp.Or(c.FirstRetry, 5*time.Second)
	c.MaxRetry = cmp.Or(c.MaxRetry, time.Hour)
	c.Parallel = cmp.Or(c.Parallel, 8)
	c.Retention = cmp.Or(c.Retention, 72*time.Hour)
	c.Interval = cmp.Or(c.Interval, time.Second)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 5*time.Second)
	if c.Transport == nil {
		c.Transport = newTransport(c.AllowInsecure)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("webhook: Config."+format, args...))
		}
	}
	check(validName(c.Name), "Name must be 1 to 64 of a-z, 0-9 and -")
	u, err := url.Parse(c.URL)
	check(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && c.AllowInsecure),
		"URL must be an https address (http only with AllowInsecure)")
	check(err != nil || u.User == nil, "URL must not hold a password; receivers check the signature")
	check(len(c.Secrets) > 0 && len(c.Secrets) <= maxSecrets, "Secrets needs 1 to %d secrets", maxSecrets)
	for i, s := range c.Secrets {
		_, err := secretBytes(s)
		check(err == nil, "Secrets[%d]: %v", i, err)
	}
	check(c.Timeout > 0 && c.Timeout <= maxTimeout, "Timeout must be positive and at most %v", maxTimeout)
	check(c.MaxAttempts > 0 && c.MaxAttempts <= 1000, "MaxAttempts must be 1 to 1000")
	check(c.FirstRetry > 0 && c.FirstRetry <= c.MaxRetry, "FirstRetry must be positive and at most MaxRetry")
	check(c.Parallel > 0 && c.Parallel <= 1000, "Parallel must be 1 to 1000")
	check(c.Retention > 0 && c.Interval > 0 && c.StoreTimeout > 0, "Retention, Interval and StoreTimeout must be positive")
	return errors.Join(errs...)
}

const (
	maxSecrets   = 4
	maxTimeout   = time.Minute
	secretPrefix = "whsec_"
)

func validName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}

// secretBytes decodes a secret. Its error does not repeat it.
func secretBytes(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) < 24 || len(raw) > 64 {
		return nil, errors.New(`not "whsec_" and base64 of 24 to 64 bytes; make one with: printf whsec_; openssl rand -base64 32`)
	}
	return raw, nil
}
