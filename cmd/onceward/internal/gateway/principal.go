package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
)

// Anonymous is the scope of requests without a bearer token.
const Anonymous = "anonymous"

// BearerScope makes every distinct bearer token a principal of its own. It
// authenticates nobody, so it suits development only. The token itself is
// never stored: its hash names the scope.
func BearerScope(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return Anonymous, nil
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errors.New("send one Authorization header of the form: Bearer TOKEN, or none")
	}
	sum := sha256.Sum256([]byte(token))
	return "bearer " + hex.EncodeToString(sum[:16]), nil
}
