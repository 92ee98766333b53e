package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/onceward/onceward/cmd/onceward/internal/secret"
)

const hidden = "SCZANGBA5YHTNYVVV4C3U252E2B6P6F5T3U6MM63WBSBZATAQI3EBTQ4"

type config struct {
	Name   string
	Signer secret.Text
	inner  secret.Text
	list   []secret.Text
	byName map[string]secret.Text
	ptr    *secret.Text
}

type encoded struct{ A, B secret.Text }

func TestNoFormatterShowsASecret(t *testing.T) {
	t.Parallel()
	s := secret.New(hidden)
	c := config{
		Name: "minter", Signer: s, inner: s, list: []secret.Text{s},
		byName: map[string]secret.Text{"a": s}, ptr: &s,
	}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%t", "%p", "%w", "%10.3s"} {
		for _, v := range []any{s, &s, c, &c, []any{s, c}, struct{ config }{c}, map[string]any{"c": c}} {
			shown = append(shown, fmt.Sprintf(verb, v), fmt.Errorf(verb, v).Error())
		}
	}
	for _, handler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(handler(&b)).Info("config", "secret", s, "config", c, "pointer", &c, "err", errors.Join(fmt.Errorf("%v", c)))
		shown = append(shown, b.String())
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		b, err := encode(encoded{s, s})
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(b))
	}
	var page bytes.Buffer
	if err := template.Must(template.New("").Parse("{{.}} {{.Signer}} {{printf \"%s\" .Signer}}")).Execute(&page, c); err != nil {
		t.Fatal(err)
	}
	shown = append(shown, page.String())
	for _, text := range shown {
		for _, form := range []string{hidden, hidden[:12], fmt.Sprintf("%x", hidden[:6]), fmt.Sprintf("%X", hidden[:6]), "83 67 90"} {
			if strings.Contains(text, form) {
				t.Errorf("the secret is in %q", text)
			}
		}
	}
	if got := string(s.Reveal()); got != hidden {
		t.Errorf("Reveal returned %q", got)
	}
}

func TestSecretsAreReadFromOutside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(path, []byte(hidden+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := secret.FromFile(path)
	if err != nil || !s.Equal(secret.New(hidden)) {
		t.Errorf("got %q, %v", s.Reveal(), err)
	}
	var decoded struct{ A secret.Text }
	if err := json.Unmarshal([]byte(`{"A":"`+hidden+`"}`), &decoded); err != nil || !decoded.A.Equal(s) {
		t.Errorf("got %q, %v", decoded.A.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`{"A":"[redacted]"}`), &decoded); err == nil {
		t.Error("a printed configuration was accepted as a real one")
	}
	if _, err := secret.FromEnv("ONCEWARD_TEST_NOT_SET"); err == nil || !strings.Contains(err.Error(), "ONCEWARD_TEST_NOT_SET") {
		t.Errorf("error %v does not name the variable", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.FromFile(path); err == nil {
		t.Error("an empty file was accepted")
	}
	if (secret.Text{}).Equal(s) || !(secret.Text{}).Empty() || (secret.Text{}).Reveal() != nil {
		t.Error("the zero value is not empty")
	}
}

func TestRevealedBytesAreTheCallers(t *testing.T) {
	t.Parallel()
	b := []byte("secret")
	s := secret.New(b)
	clear(b)
	clear(s.Reveal())
	if got := string(s.Reveal()); got != "secret" {
		t.Errorf("got %q", got)
	}
}
