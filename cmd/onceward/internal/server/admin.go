package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/admin"
)

// adminUser is the name that a browser asks for beside the token.
const adminUser = "onceward"

// adminPage says what the operator's page shows.
func (s *Server) adminPage(store onceward.Lister) admin.Config {
	cfg := admin.Config{Store: store, Logger: s.log}
	if s.outbox != nil {
		cfg.Webhooks = s.outbox.Queue()
	}
	return cfg
}

// guardAdmin asks for the token of the operator's page, if there is one.
func (s *Server) guardAdmin(next http.Handler) (http.Handler, error) {
	if !s.cfg.Admin.Token.Set() {
		return next, nil
	}
	token, err := s.cfg.Admin.Token.Read(s.opts.Getenv)
	if err != nil {
		return nil, fmt.Errorf("admin.token: %w", err)
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if user, password, basic := r.BasicAuth(); basic {
			given, ok = password, user == adminUser
		}
		got := sha256.Sum256([]byte(given)) // of equal length, whatever was given
		if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="onceward", charset="UTF-8"`)
			http.Error(w, "The operator's page needs the token of admin.token, as the password of user onceward or as a bearer token.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
