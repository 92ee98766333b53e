package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
)

// secretFields are what the full file says of secrets.
var secretFields = regexp.MustCompile(`(_env|_file|env): ([A-Z_]+|/run/secrets/[a-z.]+)`)

// However a configuration is printed whose secrets are all there, it shows
// none of them.
func TestPrintedConfigurationsShowNoSecrets(t *testing.T) {
	t.Parallel()
	dir, text, environ := t.TempDir(), string(full(t)), make(map[string]string)
	var files []string
	for i, m := range secretFields.FindAllStringSubmatch(text, -1) {
		value := fmt.Sprintf("hush-%d-0123456789abcdef", i)
		if strings.HasPrefix(m[2], "/") {
			path := filepath.Join(dir, filepath.Base(m[2]))
			if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
				t.Fatal(err)
			}
			text = strings.Replace(text, m[2], path, 1)
			files = append(files, path)
			continue
		}
		environ[m[2]] = value
	}
	cfg, err := config.Parse("full.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return environ[name] }
	read := map[string]config.Secret{
		"admin": cfg.Admin.Token, "store": cfg.Store.Secret, "keyring": cfg.Encryption.Keyring, "fingerprint": cfg.Operations.FingerprintKey,
		"nonce": cfg.Chain.NonceSecret, "channels": cfg.Chain.Channels.Seed, "webhook": cfg.Webhook.Secret,
		"rpc": cfg.Chain.RPCHeaders["Authorization"], "signer": cfg.Chain.Signers["minter"].Secret,
	}
	for name, s := range read {
		if v, err := s.Read(getenv); err != nil || !strings.HasPrefix(v, "hush-") {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
	if len(environ)+len(files) < len(read) {
		t.Errorf("%d secrets in the environment, %d in files", len(environ), len(files))
	}
	for form, shown := range printed(cfg) {
		if strings.Contains(shown, "hush") || len(shown) < 100 {
			t.Errorf("%s: %.2000s", form, shown)
		}
	}
}

// printed is a configuration in every usual form.
func printed(cfg *config.Config) map[string]string {
	out := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		out[verb] = fmt.Sprintf(verb, cfg) + fmt.Sprintf(verb, *cfg)
		if cfg.Chain != nil {
			out[verb] += fmt.Sprintf(verb, *cfg.Chain) + fmt.Sprintf(verb, *cfg.Webhook) + fmt.Sprintf(verb, *cfg.Encryption)
		}
	}
	parts := []any{cfg.Admin, cfg.Store, cfg.Operations, cfg.Chain, cfg.Encryption, cfg.Webhook, cfg.Observability}
	for _, part := range parts {
		asJSON, errJSON := json.Marshal(part)
		asYAML, errYAML := yaml.Marshal(part)
		out["JSON"] += fmt.Sprintf("%s %v\n", asJSON, errJSON)
		out["YAML"] += fmt.Sprintf("%s %v\n", asYAML, errYAML)
	}
	var lines bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&lines, nil), slog.NewTextHandler(&lines, nil)} {
		slog.New(handler).Info("configuration", "whole", cfg, "copy", *cfg, "parts", parts)
	}
	out["log"] = lines.String()
	return out
}

// A secret that was written where it does not belong is not repeated by the
// message about it, nor by one about another mistake.
func TestMessagesRepeatNoSecrets(t *testing.T) {
	t.Parallel()
	const routes = "auth: {single_tenant: true}\nroutes: [{match: POST /x, proxy: \"http://127.0.0.1:1\"}]\n"
	const file = "store: sqlite:x\n" + routes
	for name, text := range map[string]string{
		"in the file":          file + "admin: {token: hush-0123456789}\n",
		"as a variable":        file + "admin: {token_env: hush-0123456789}\n",
		"a seed as a variable": file + "chain: {signers: {minter: {secret_env: SHUSH4JQD33XUI6H7HKFF2NDUME47T5CA6KE7ZFCWDSX4DL2UGJBMXSU}}}\n",
		"a number":             file + "admin: {token_env: 0x4855534800}\n",
		"a password":           "store: postgres://app:hush@db/app\n" + routes,
		"as a parameter":       "store: postgres://db/app?user=app&password=hush\n" + routes,
		"no URL":               "store: \"postgres://app:hu%zzhush@db/app\"\n" + routes,
		"no scheme":            "store: host=db user=app password=hush\n" + routes,
		"a colon in it":        "store: \"host=db password=hush:hush\"\n" + routes,
		"a backend":            strings.Replace(file, "http://", "http://app:hush@", 1),
		"not YAML":             file + "admin: {token: hush-0123456789\nlisten: [\n",
		"not indented":         file + "admin:\n  token: hush-0123456789\n listen: x\n",
		"twice":                file + "admin: {token_env: A}\nadmin: {token: hush-0123456789}\n",
	} {
		_, err := config.Parse("test.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: admitted", name)
			continue
		}
		if said := strings.ToLower(err.Error()); strings.Contains(said, "hush") || strings.Contains(said, "4855534800") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
