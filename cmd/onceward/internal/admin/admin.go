// Package admin serves the operator's page: the keys, what became of them, and
// the webhook messages. It shows; it changes nothing.
//
// It has no login of its own, so it belongs on a loopback address. Keys are
// cut short, and neither payloads nor answers are shown.
package admin

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/operator"
	"github.com/onceward/onceward/webhook"
)

//go:embed *.html
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
}).ParseFS(files, "*.html"))

const pageSize = 50

// Config of the page.
type Config struct {
	Store onceward.Lister
	// Webhooks are the messages of the gateway's outbox. Nil without one.
	Webhooks *webhook.Queue
	Logger   *slog.Logger
}

// Handler serves the keys at / and the same list as JSON at /keys, the webhook
// messages at /webhooks and as JSON at /webhooks.json.
func Handler(cfg Config) http.Handler {
	p := &pages{store: cfg.Store, webhooks: cfg.Webhooks, log: cfg.Logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.html("keys.html", p.keys))
	mux.HandleFunc("GET /keys", p.json(p.keys))
	mux.HandleFunc("GET /webhooks", p.html("webhooks.html", p.messages))
	mux.HandleFunc("GET /webhooks.json", p.json(p.messages))
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

// secured adds the headers that keep a browser from doing more than reading.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type pages struct {
	store    onceward.Lister
	webhooks *webhook.Queue
	log      *slog.Logger
}

// Row is one key as an operator sees it.
type Row struct {
	OperationID string    `json:"operation_id"`
	Scope       string    `json:"scope"`
	Key         string    `json:"key"`
	Status      string    `json:"status"`
	Kind        string    `json:"kind"`
	Policy      string    `json:"policy"`
	Attempt     int       `json:"attempt"`
	HTTPStatus  int       `json:"http_status,omitzero"`
	Reason      string    `json:"reason,omitempty"`
	ClaimedAt   time.Time `json:"claimed_at"`
	LeaseUntil  time.Time `json:"lease_until,omitzero"`
	CompletedAt time.Time `json:"completed_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
}

type list struct {
	Rows     []Row    `json:"keys"`
	Next     string   `json:"next,omitempty"`
	Status   string   `json:"-"`
	Statuses []string `json:"-"`
}

func (p *pages) keys(r *http.Request) (any, error) {
	q := r.URL.Query()
	res, err := p.store.List(r.Context(), onceward.ListRequest{
		Now: time.Now(), Status: onceward.Status(q.Get("status")), Kind: q.Get("kind"),
		Cursor: q.Get("cursor"), Limit: pageSize,
	})
	if err != nil {
		return nil, err
	}
	out := list{Rows: []Row{}, Next: res.Next, Status: q.Get("status"), Statuses: []string{
		string(onceward.StatusStarted), string(onceward.StatusCompleted), string(onceward.StatusHeld),
	}}
	for i := range res.Records {
		out.Rows = append(out.Rows, row(&res.Records[i]))
	}
	return out, nil
}

type messages struct {
	operator.MessagePage

	// Enabled says that the gateway has a receiver.
	Enabled bool     `json:"enabled"`
	Outbox  string   `json:"outbox,omitempty"`
	State   string   `json:"-"`
	States  []string `json:"-"`
}

func (p *pages) messages(r *http.Request) (out any, err error) {
	q := r.URL.Query()
	m := messages{Enabled: p.webhooks != nil, State: q.Get("state"), States: []string{operator.Pending, operator.Delivered, operator.Dead}}
	m.Messages = []operator.MessageView{}
	if m.Enabled {
		m.Outbox = p.webhooks.Name()
		m.MessagePage, err = operator.Messages(r.Context(), p.webhooks, m.State, q.Get("cursor"), pageSize)
	}
	return m, err
}

func row(rec *onceward.Record) Row {
	r := Row{
		OperationID: rec.Key.ID().String(), Scope: rec.Key.Scope, Key: redact(rec.Key.Value),
		Status: string(rec.Status), Kind: rec.Kind, Policy: string(rec.Policy), Attempt: rec.Attempt,
		Reason: rec.Reason, ClaimedAt: rec.ClaimedAt, CompletedAt: rec.CompletedAt,
	}
	if rec.Response != nil {
		r.HTTPStatus = rec.Response.Status
	}
	if rec.Status == onceward.StatusStarted {
		r.LeaseUntil = rec.LeaseUntil
	}
	if rec.ExpiresAt.Before(onceward.Never) {
		r.ExpiresAt = rec.ExpiresAt
	}
	return r
}

// redact keeps enough of a key to recognise it, and too little to use it.
func redact(key string) string {
	const natural = "natural "
	if strings.HasPrefix(key, natural) {
		return key[:min(len(key), 24)] + "…" // a hash, made by us
	}
	return key[:min(len(key)/2, 8)] + "…"
}

func (p *pages) html(name string, list func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l, err := list(r)
		var buf bytes.Buffer
		if err == nil {
			err = templates.ExecuteTemplate(&buf, name, l)
		}
		if err != nil {
			p.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		p.send(w, buf.Bytes())
	}
}

func (p *pages) json(list func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l, err := list(r)
		var body []byte
		if err == nil {
			body, err = json.MarshalIndent(l, "", "  ")
		}
		if err != nil {
			p.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		p.send(w, append(body, '\n'))
	}
}

func (p *pages) send(w http.ResponseWriter, body []byte) {
	if _, err := w.Write(body); err != nil {
		p.log.Debug("the browser went away", "err", err)
	}
}

func (p *pages) fail(w http.ResponseWriter, err error) {
	p.log.Error("admin page", "err", err)
	http.Error(w, "The list could not be made; the log says why.", http.StatusInternalServerError)
}
