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

// noDetail is where the head of a detail begins.
var noDetail [detailHead]byte

// fingerprint is what the engine stores of a request.
type fingerprint struct {
	sum    []byte // compared
	detail []byte // explains a difference
}

// fingerprintSpace holds a fingerprint of the usual size.
type fingerprintSpace [sha256.Size + 160]byte

// fingerprint hashes r, whose body has been read. at is where the body
// carries the key, which is no part of what is asked for. The result may use
// space. Its error is a body that cannot be compared as the route wants.
func (g *guard) fingerprint(h *hasher, r *http.Request, body []byte, at span, space *fingerprintSpace) (fingerprint, error) {
	s := h.get()
	defer h.put(s)
	if at != (span{}) {
		body = slices.Concat(body[:at.from], []byte("null"), body[at.to:])
	}
	contentType := r.Header.Get("Content-Type")
	var sums [numParts]digest
	sums[partMethod] = s.sumPart(partMethod, r.Method)
	sums[partPath] = s.sumPart(partPath, comparablePath(r))
	sums[partQuery] = s.sumPart(partQuery, r.URL.RawQuery)
	sums[partContentType] = s.sumPart(partContentType, contentType)
	s.detail = append(s.detail[:0], noDetail[:]...)
	if err := g.hashBody(s, &sums[partBody], contentType, body); err != nil {
		return fingerprint{}, err
	}
	s.detail[0] = detailVersion
	s.buf = append(s.buf[:0], fingerprintVersion)
	for i := range sums {
		copy(s.detail[1+i*shortSum:], sums[i][:shortSum])
		s.buf = append(s.buf, sums[i][:]...)
	}
	sum := s.sum(s.buf)
	out := append(append(space[:0], sum[:]...), s.detail...)
	return fingerprint{sum: out[:len(sum):len(sum)], detail: out[len(sum):len(out):len(out)]}, nil
}

// hashBody hashes the body as the route compares it, and appends its parts to
// the detail.
func (g *guard) hashBody(s *scratch, sum *digest, contentType string, body []byte) error {
	json := len(body) > 0 && isJSON(contentType)
	if !json || !g.opt.CanonicalJSON && len(g.opt.Fields) == 0 {
		*sum = s.sum(body)
		if json && len(body) <= maxDetailBody {
			s.appendLeaves(body)
		}
		return nil
	}
	text, err := Canonical(body)
	if err != nil {
		return err
	}
	if len(g.opt.Fields) == 0 {
		*sum = s.sum(text)
		if len(text) <= maxDetailBody {
			s.appendLeaves(text)
		}
		return nil
	}
	var all []byte
	for _, pointer := range g.opt.Fields {
		value, found := lookup(text, pointer)
		all = fmt.Appendf(all, "%t %d ", found, value.to-value.from)
		all = append(all, value.of(text)...)
		s.appendLeaf([]byte(pointer), value.of(text))
	}
	*sum = s.sum(all)
	return nil
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
