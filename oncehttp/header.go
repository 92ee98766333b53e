package oncehttp

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// Headers that the middleware adds to answers.
const (
	// HeaderReplayed is "true" on an answer that an earlier request recorded.
	HeaderReplayed = "Idempotent-Replayed"
	// HeaderExpires is the HTTP date until which the answer is kept; while there
	// is no answer, the date until which one that came now would be.
	HeaderExpires = "Idempotency-Key-Expires"
)

// ReplayedHeaders lists the headers that every route keeps and replays. They
// describe the answer; those that belong to one exchange are not among them.
func ReplayedHeaders() []string {
	return []string{
		"Allow", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Content-Location", "Content-Type", "Etag", "Last-Modified", "Link", "Location",
		"Preference-Applied", "Retry-After", "Vary",
	}
}

// neverReplayed reports whether a header, in canonical form, belongs to one
// answer, one connection or one client.
func neverReplayed(name string) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Date", "Age", "Expires",
		"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade", "Content-Length", "Content-Range",
		"Www-Authenticate", "Authentication-Info", HeaderReplayed, HeaderExpires:
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}

// replayable is the set of headers that a route keeps.
type replayable map[string]struct{}

func newReplayable(more []string) replayable {
	set := make(replayable)
	for _, name := range slices.Concat(ReplayedHeaders(), more) {
		set[textproto.CanonicalMIMEHeaderKey(name)] = struct{}{}
	}
	return set
}

// filter copies what of h is kept, the values into space while there is room.
func (set replayable) filter(h []headerField, space []string) http.Header {
	out := make(http.Header, len(h))
	for _, f := range h {
		if _, ok := set[f.name]; ok && len(f.values) > 0 {
			from := len(space)
			space = append(space, f.values...)
			out[f.name] = space[from:len(space):len(space)]
		}
	}
	return out
}

// headerField is one entry of a header.
type headerField struct {
	name   string
	values []string
}

// appendFields takes down the entries of h.
func appendFields(fields []headerField, h http.Header) []headerField {
	for name, values := range h {
		fields = append(fields, headerField{name, values})
	}
	return fields
}

// same reports whether values are still those that were taken down.
func (f headerField) same(values []string) bool {
	return len(values) == len(f.values) && (len(values) == 0 || &values[0] == &f.values[0])
}

// restore makes h what it was when fields were taken down, and returns what
// was set since.
func restore(h http.Header, fields []headerField) (since http.Header) {
	unchanged := 0
	for _, f := range fields {
		if v, ok := h[f.name]; ok && f.same(v) {
			unchanged++
		}
	}
	if unchanged == len(fields) && len(h) == len(fields) {
		return nil
	}
	since = maps.Clone(h)
	clear(h)
	for _, f := range fields {
		h[f.name] = f.values
		if f.same(since[f.name]) {
			delete(since, f.name)
		}
	}
	return since
}
