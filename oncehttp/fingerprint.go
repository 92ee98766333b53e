package oncehttp

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// digest is one SHA-256, plain or keyed.
type digest = [sha256.Size]byte

// The parts of a request that make it the same request.
const (
	partMethod = iota
	partPath
	partQuery
	partContentType
	partBody
	numParts
)

// partNames are how a problem names what differs.
var partNames = [numParts]string{"method", "path", "query", "content-type", "body"}

// fingerprintVersion begins what is hashed, so that a later way to compare
// requests cannot be taken for this one.
const fingerprintVersion = 1

// hasher computes digests, keyed when there is a secret.
type hasher struct {
	secret []byte
	pool   sync.Pool // of *scratch
}

// scratch is working memory for one fingerprint.
type scratch struct {
	mac    hash.Hash
	buf    []byte
	detail []byte
	out    []byte
	last   [numParts]memo
}

// memo is the last text that was hashed for a part, and its digest. One route
// hashes the same method and content type over and over.
type memo struct {
	known bool
	text  [64]byte
	size  int
	sum   digest
}

func (h *hasher) get() *scratch {
	if s, ok := h.pool.Get().(*scratch); ok {
		return s
	}
	s := &scratch{}
	if len(h.secret) > 0 {
		s.mac = hmac.New(sha256.New, h.secret)
	}
	return s
}

const maxPooled = 64 << 10

func (h *hasher) put(s *scratch) {
	if cap(s.buf) <= maxPooled && cap(s.detail) <= maxPooled {
		h.pool.Put(s)
	}
}

func (s *scratch) sum(p []byte) digest {
	if s.mac == nil {
		return sha256.Sum256(p)
	}
	s.mac.Reset()
	_, _ = s.mac.Write(p) // a hash never fails
	s.out = s.mac.Sum(s.out[:0])
	return digest(s.out)
}

// sumPart hashes the text of a part.
func (s *scratch) sumPart(part int, text string) digest {
	m := &s.last[part]
	if m.known && string(m.text[:m.size]) == text {
		return m.sum
	}
	s.buf = append(s.buf[:0], text...)
	sum := s.sum(s.buf)
	if len(text) <= len(m.text) {
		m.known, m.size, m.sum = true, copy(m.text[:], text), sum
	}
	return sum
}

// fingerprint is what the engine stores of a request.
type fingerprint struct {
	sum    []byte // compared
	detail []byte // explains a difference
}

// fingerprintSpace holds a fingerprint of the usual size.
type fingerprintSpace struct {
	sums  [numParts]digest
	bytes [sha256.Size + 160]byte // the sum, then the detail
}

// fingerprint hashes r, of whose body text is compared. The result may use
// space.
func (g *guard) fingerprint(h *hasher, r *http.Request, text []byte, space *fingerprintSpace) fingerprint {
	return fingerprint{g.sum(h, r, text, space), g.detail(h, r, text, space)}
}

// sum returns what is compared. It is all that a replay needs.
func (g *guard) sum(h *hasher, r *http.Request, text []byte, space *fingerprintSpace) []byte {
	s := h.get()
	defer h.put(s)
	contentType, sums := r.Header.Get("Content-Type"), &space.sums
	sums[partMethod] = s.sumPart(partMethod, r.Method)
	sums[partPath] = s.sumPart(partPath, comparablePath(r))
	sums[partQuery] = s.sumPart(partQuery, r.URL.RawQuery)
	sums[partContentType] = s.sumPart(partContentType, contentType)
	sums[partBody] = g.sumBody(s, contentType, text)
	s.buf = append(s.buf[:0], fingerprintVersion)
	for i := range sums {
		s.buf = append(s.buf, sums[i][:]...)
	}
	sum := s.sum(s.buf)
	return append(space.bytes[:0:sha256.Size], sum[:]...)
}

// detail returns what explains a difference, of a request whose sum was made in
// space.
func (g *guard) detail(h *hasher, r *http.Request, text []byte, space *fingerprintSpace) []byte {
	s := h.get()
	defer h.put(s)
	s.detail = append(s.detail[:0], detailVersion)
	for i := range space.sums {
		s.detail = append(s.detail, space.sums[i][:shortSum]...)
	}
	g.appendBody(s, r.Header.Get("Content-Type"), text)
	return slices.Clip(append(space.bytes[sha256.Size:sha256.Size], s.detail...))
}

// comparableBody is the text that the route compares. Its error is a body that
// cannot be compared as the route wants.
func (g *guard) comparableBody(contentType string, body []byte) ([]byte, error) {
	if !g.opt.CanonicalJSON && len(g.opt.Fields) == 0 || len(body) == 0 || !isJSON(contentType) {
		return body, nil
	}
	return Canonical(body)
}

// sumBody hashes what the route compares of a text.
func (g *guard) sumBody(s *scratch, contentType string, text []byte) digest {
	if len(g.opt.Fields) == 0 || len(text) == 0 || !isJSON(contentType) {
		return s.sum(text)
	}
	var all []byte
	for _, pointer := range g.opt.Fields {
		value, found := lookup(text, pointer)
		all = fmt.Appendf(all, "%t %d ", found, value.to-value.from)
		all = append(all, value.of(text)...)
	}
	return s.sum(all)
}

// appendBody appends the parts of a text that can be compared to the detail.
func (g *guard) appendBody(s *scratch, contentType string, text []byte) {
	switch {
	case len(text) == 0 || !isJSON(contentType):
	case len(g.opt.Fields) > 0:
		for _, pointer := range g.opt.Fields {
			value, _ := lookup(text, pointer)
			s.appendLeaf([]byte(pointer), value.of(text))
		}
	case len(text) <= maxDetailBody:
		s.appendLeaves(text)
	}
}

// comparablePath is the path as it was sent, without slashes at its end: /x
// and /x/ are one place to almost every server, and a client that lost its
// answer may come back by either.
func comparablePath(r *http.Request) string {
	path := r.URL.EscapedPath()
	if trimmed := strings.TrimRight(path, "/"); trimmed != "" {
		return trimmed
	}
	return "/"
}
