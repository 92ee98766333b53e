package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
)

// Anonymous is the principal of requests without a bearer token.
const Anonymous = "anonymous"

var errNobody = errors.New("nobody was authenticated")

// SingleTenant makes every request one of the same principal.
func SingleTenant(*http.Request) (*expr.Principal, error) {
	return &expr.Principal{Method: "none"}, nil
}

// Bearer makes every distinct bearer token a principal of its own. It
// authenticates nobody, so it suits development only. The token itself is
// never stored: its hash names the scope.
func Bearer(r *http.Request) (*expr.Principal, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return &expr.Principal{ID: Anonymous, Method: "bearer"}, nil
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, &auth.RejectedError{Reason: "send one Authorization header of the form: Bearer TOKEN, or none"}
	}
	sum := sha256.Sum256([]byte(token))
	return &expr.Principal{ID: "bearer " + hex.EncodeToString(sum[:16]), Method: "bearer"}, nil
}
