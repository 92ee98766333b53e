package server

import (
	"net/http"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/openapi"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
)

// describe makes the description of what a configuration serves.
func (s *Server) describe(cfg *config.Config, routes []gateway.Route, contracts *gateway.Contracts) (http.Handler, error) {
	q := &cfg.Quotas
	doc := openapi.Config{
		Title: "onceward", Version: s.obs.Version(), Problems: serving.Problems(), Scoped: cfg.Auth.Scope != nil,
		Quotas: q.KeysStored != 0 || q.RequestsPerSecond != 0 || q.RequestsInFlight != 0,
	}
	if cfg.Chain != nil && cfg.Relay != nil {
		doc.Relay = &openapi.Relay{Pattern: relayPattern}
	}
	for i, r := range routes {
		if r.Handler != nil {
			doc.Proxies = append(doc.Proxies, openapi.Proxy{Pattern: r.Pattern, Options: r.Options, Problems: proxy.Problems(), Guarded: r.Allow != nil, Sometimes: cfg.Routes[i].When != nil})
		} else {
			doc.Routes = append(doc.Routes, r)
		}
	}
	if contracts != nil {
		doc.Specs = contracts.Specs()
	}
	if cfg.Auth.JWT != nil {
		doc.Security = append(doc.Security, openapi.BearerJWT)
	}
	if cfg.Auth.APIKeys != nil || cfg.Auth.Bearer {
		doc.Security = append(doc.Security, openapi.BearerToken)
	}
	if cfg.Auth.MTLS != nil {
		doc.Security = append(doc.Security, openapi.MutualTLS)
	}
	raw, err := openapi.Document(doc)
	if err != nil {
		return nil, err
	}
	return openapi.Handler(raw)
}
