// Package secret holds values that must not be seen: in logs, in errors, on
// pages, or in a dump of the configuration they are part of.
//
// A Text prints as "[redacted]" however it is formatted or encoded, also as an
// unexported field of a struct that is printed whole. It does not protect
// against a debugger or a core file of the process.
package secret

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
)

// Redacted is what is shown instead of a secret.
const Redacted = "[redacted]"

// MaxBytes is the largest secret that FromFile reads.
const MaxBytes = 1 << 20

// Text is a secret. Its zero value is empty. It holds its bytes behind a
// function, where no formatter that walks memory finds them.
type Text struct{ reveal func() []byte }

// New returns a secret of its own copy of b.
func New[T ~string | ~[]byte](b T) Text {
	own := append([]byte(nil), b...)
	return Text{func() []byte { return own }}
}

// FromEnv takes the secret from an environment variable, which must be set.
func FromEnv(name string) (Text, error) {
	v, ok := os.LookupEnv(name)
	if !ok || v == "" {
		return Text{}, fmt.Errorf("the environment variable %s is not set; it must hold the secret", name)
	}
	return New(v), nil
}

// FromFile takes the secret from a file; line ends at its end do not count.
func FromFile(path string) (Text, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		return Text{}, fmt.Errorf("reading a secret: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Text{}, fmt.Errorf("reading a secret: %w", err)
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) == 0 || len(b) > MaxBytes {
		return Text{}, fmt.Errorf("reading a secret: %s must hold 1 to %d bytes", path, MaxBytes)
	}
	return New(b), nil
}

// Reveal returns a copy of the secret's bytes. The caller must not let them
// reach a log, an error or an answer.
func (t Text) Reveal() []byte {
	if t.reveal == nil {
		return nil
	}
	return bytes.Clone(t.reveal())
}

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.reveal == nil || len(t.reveal()) == 0 }

// Equal compares two secrets in a time that does not tell where they differ.
func (t Text) Equal(other Text) bool {
	return subtle.ConstantTimeCompare(t.Reveal(), other.Reveal()) == 1
}

// String implements fmt.Stringer.
func (Text) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (Text) GoString() string { return Redacted }

// Format implements fmt.Formatter: no verb shows more.
func (Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON, YAML and XML.
func (Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON implements json.Marshaler.
func (Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalYAML implements the interface of YAML encoders.
func (Text) MarshalYAML() (any, error) { return Redacted, nil }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(Redacted) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Text) UnmarshalText(b []byte) error {
	if string(b) == Redacted {
		return errors.New("this is a redacted secret, as it is printed; write the secret itself, or better where it is to be found")
	}
	*t = New(b)
	return nil
}
