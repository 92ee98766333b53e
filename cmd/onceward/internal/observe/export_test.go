package observe_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
)

// Spans reach a collector by OTLP over HTTP.
func TestSpansAreExported(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + r.Header.Get("X-Tenant") + " " + string(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	tracer, err := observe.NewTracerProvider(t.Context(), observe.TraceConfig{
		Endpoint: collector.URL, Headers: map[string]string{"X-Tenant": "a"}, Version: "v9",
	})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Tracer("test").Start(t.Context(), "a span of ours")
	span.End()
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body := <-got; !strings.HasPrefix(body, "/v1/traces a ") || !strings.Contains(body, "a span of ours") || !strings.Contains(body, "v9") {
		t.Errorf("exported %q", body)
	}
}

func TestTraceConfigIsChecked(t *testing.T) {
	t.Parallel()
	two := 2.0
	for _, cfg := range []observe.TraceConfig{{}, {Endpoint: "collector:4318"}, {Endpoint: "http://x", Ratio: &two}} {
		if _, err := observe.NewTracerProvider(t.Context(), cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

func TestLogsLeaveSecretsOut(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	log := slog.New(observe.NewLogHandler(&out, slog.LevelInfo))
	log.With("api-key", "hush1").WithGroup("g").Info("said",
		"Authorization", "hush2", "token", "hush3", "minter_secret", "hush4", slog.Group("http", "cookie", "hush5"))
	log.Info("fenced", "token", 42, "operation", "an-id")
	text := out.String()
	if strings.Contains(text, "hush") || strings.Count(text, "[redacted]") != 5 {
		t.Errorf("log %s", text)
	}
	if !strings.Contains(text, `"token":42`) || !strings.Contains(text, `"operation":"an-id"`) {
		t.Errorf("log %s", text)
	}
	// An id is written as clients know it, and texts for people leave out the same.
	id := onceward.Key{Value: "k"}.ID()
	log.Info("ended", "operation", id, "took", time.Second, "err", errors.New("no luck"))
	if text = out.String(); !strings.Contains(text, `"operation":"`+id.String()+`","took":1000000000,"err":"no luck"`) {
		t.Errorf("log %s", text)
	}
	var people lockedBuffer
	slog.New(observe.NewTextLogHandler(&people, slog.LevelInfo)).Info("said", "secret", "hush", "operation", id)
	if text = people.String(); strings.Contains(text, "hush") || !strings.Contains(text, "operation="+id.String()) {
		t.Errorf("log %s", text)
	}
}
