package observe

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// redacted stands for a value that may be a secret.
const redacted = "[redacted]"

// secretNames are parts of attribute names whose text never leaves.
var secretNames = []string{"authorization", "cookie", "password", "secret", "seed", "apikey", "api_key", "bearer", "credential", "idempotency_key", "private"}

// NewLogHandler writes JSON lines to w. Each names the trace and span it
// belongs to, and texts under names that speak of secrets are left out.
func NewLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})}
}

// NewTextLogHandler is NewLogHandler with lines for people.
func NewTextLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact})}
}

func redact(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(strings.ReplaceAll(a.Key, "-", "_"))
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return slog.String(a.Key, redacted)
		}
	}
	// JSON has no form of its own for these, such as an operation's id.
	if s, ok := a.Value.Any().(fmt.Stringer); ok && a.Value.Kind() == slog.KindAny && !spelled(s) {
		a.Value = slog.StringValue(s.String())
	}
	// A fencing token is a number; a text is somebody's credential.
	if kind := a.Value.Resolve().Kind(); name == "token" && kind != slog.KindInt64 && kind != slog.KindUint64 {
		return slog.String(a.Key, redacted)
	}
	return a
}

// spelled reports whether a value says itself how it is written.
func spelled(v any) bool {
	switch v.(type) {
	case error, json.Marshaler, encoding.TextMarshaler:
		return true
	}
	return false
}

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{h.Handler.WithGroup(name)}
}
