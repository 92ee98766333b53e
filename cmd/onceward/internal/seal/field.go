package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/onceward/onceward"
)

// A sealed field is magic, the ID of its data key, and the ciphertext. What it
// is bound to is not stored with it: it is what the record says it is.
var magic = []byte{0x9e, 'O', 'S', 1}

const headLen = 4 + idLen

func isSealed(b []byte) bool { return len(b) > headLen && bytes.HasPrefix(b, magic) }

func (k *dataKey) seal(plain, aad []byte) ([]byte, error) {
	ciphertext, err := k.aead.Encrypt(plain, aad)
	if err != nil {
		return nil, fmt.Errorf("seal: encrypting: %w", err)
	}
	out := make([]byte, 0, headLen+len(ciphertext))
	return append(append(append(out, magic...), k.id[:]...), ciphertext...), nil
}

// open decrypts a field. plain is true when it was never sealed and that is
// accepted.
func (s *Store) open(ctx context.Context, scope string, b, aad []byte) (out []byte, plain bool, err error) {
	if !isSealed(b) {
		if s.cfg.AcceptPlaintext {
			return b, true, nil
		}
		return nil, false, ErrPlaintext
	}
	k, err := s.readKey(ctx, scope, keyID(b[len(magic):headLen]))
	if err != nil {
		return nil, false, err
	}
	out, err = k.aead.Decrypt(b[headLen:], aad)
	if err != nil {
		return nil, false, ErrTampered
	}
	return out, false, nil
}

// Names of the fields in what they are bound to.
const (
	fieldDetail      = "detail"
	fieldCheckpoints = "checkpoints"
	fieldHeader      = "header"
	fieldBody        = "body"
)

// detailAAD binds to the request: the claim is not known before it is made,
// and the detail stays with the operation when it changes hands.
func detailAAD(key onceward.Key, fingerprint []byte) []byte {
	return fields(key.Scope, key.Value, fieldDetail, string(fingerprint))
}

func checkpointsAAD(key onceward.Key, token int64) []byte {
	return fields(key.Scope, key.Value, fieldCheckpoints, strconv.FormatInt(token, 10))
}

func headerAAD(c onceward.Claim, status int) []byte {
	return fields(c.Key.Scope, c.Key.Value, fieldHeader, strconv.FormatInt(c.Token, 10), c.Owner.String(), strconv.Itoa(status))
}

// bodyAAD binds the body to its header as well.
func bodyAAD(c onceward.Claim, status int, sealedHeader string) []byte {
	sum := sha256.Sum256([]byte(sealedHeader))
	return fields(c.Key.Scope, c.Key.Value, fieldBody, strconv.FormatInt(c.Token, 10), c.Owner.String(),
		strconv.Itoa(status), string(sum[:]))
}

func (s *Store) openDetail(ctx context.Context, rec *onceward.Record) error {
	if len(rec.Detail) == 0 {
		return nil
	}
	detail, _, err := s.open(ctx, rec.Key.Scope, rec.Detail, detailAAD(rec.Key, rec.Fingerprint))
	if errors.Is(err, ErrDestroyed) {
		detail, err = nil, nil // it only explains
	}
	rec.Detail = detail
	return err
}

// sealedCheckpoint is the one that holds all the others, so that none can be
// left out. Its data begins with the token under which it was written.
const sealedCheckpoint = "sealed"

func (k *dataKey) sealCheckpoints(c onceward.Claim, cps []onceward.Checkpoint) ([]byte, error) {
	sealed, err := k.seal(encodeCheckpoints(cps), checkpointsAAD(c.Key, c.Token))
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(c.Token)), sealed...), nil //nolint:gosec // back again below
}

// openCheckpoints is strict: who believes that nothing was begun would begin
// it again.
func (s *Store) openCheckpoints(ctx context.Context, rec *onceward.Record) error {
	if len(rec.Checkpoints) == 0 {
		return nil
	}
	if len(rec.Checkpoints) != 1 || rec.Checkpoints[0].Name != sealedCheckpoint || len(rec.Checkpoints[0].Data) < 8 {
		if s.cfg.AcceptPlaintext {
			return nil
		}
		return ErrPlaintext
	}
	data := rec.Checkpoints[0].Data
	token := int64(binary.BigEndian.Uint64(data)) //nolint:gosec // it was an int64
	if !isSealed(data[8:]) && s.cfg.AcceptPlaintext {
		return nil
	}
	if token > rec.Token {
		return fmt.Errorf("%w: the checkpoints are of a later claim", ErrTampered)
	}
	b, _, err := s.open(ctx, rec.Key.Scope, data[8:], checkpointsAAD(rec.Key, token))
	if errors.Is(err, ErrDestroyed) && rec.Status == onceward.StatusCompleted {
		rec.Checkpoints = nil // nobody goes by them any more
		return nil
	}
	if err != nil {
		return err
	}
	rec.Checkpoints, err = decodeCheckpoints(b)
	return err
}

// sealedHeader is the field that holds all the others.
const sealedHeader = "Onceward-Sealed"

func (k *dataKey) sealResponse(c onceward.Claim, r *onceward.Response) (*onceward.Response, error) {
	out := onceward.Response{Status: r.Status, Tombstone: r.Tombstone}
	header := ""
	if len(r.Header) > 0 {
		b, err := k.seal(encodeHeader(r.Header), headerAAD(c, r.Status))
		if err != nil {
			return nil, err
		}
		header = text(b)
		out.Header = map[string][]string{sealedHeader: {header}}
	}
	if r.Tombstone && len(r.Body) == 0 {
		return &out, nil
	}
	var err error
	out.Body, err = k.seal(r.Body, bodyAAD(c, r.Status, header))
	return &out, err
}

// openResponse turns an answer whose data key was destroyed into a tombstone:
// the operation stays final, its answer is gone.
func (s *Store) openResponse(ctx context.Context, rec *onceward.Record) error {
	if rec.Response == nil {
		return nil
	}
	r := *rec.Response
	rec.Response = &r
	err := s.openBody(ctx, rec)
	if err == nil {
		err = s.openHeader(ctx, rec)
	}
	if errors.Is(err, ErrDestroyed) {
		r.Tombstone, r.Body, r.Header = true, nil, nil
		return nil
	}
	return err
}

func (s *Store) openBody(ctx context.Context, rec *onceward.Record) (err error) {
	r := rec.Response
	if r.Tombstone && len(r.Body) == 0 {
		return nil
	}
	header := ""
	if v := r.Header[sealedHeader]; len(v) == 1 {
		header = v[0]
	}
	r.Body, _, err = s.open(ctx, rec.Key.Scope, r.Body, bodyAAD(rec.Claim(), r.Status, header))
	return err
}

func (s *Store) openHeader(ctx context.Context, rec *onceward.Record) error {
	r := rec.Response
	if len(r.Header) == 0 {
		return nil
	}
	v := r.Header[sealedHeader]
	if len(r.Header) != 1 || len(v) != 1 {
		if s.cfg.AcceptPlaintext {
			return nil
		}
		return ErrPlaintext
	}
	sealed, err := untext(v[0])
	if err != nil {
		return ErrTampered
	}
	b, plain, err := s.open(ctx, rec.Key.Scope, sealed, headerAAD(rec.Claim(), r.Status))
	if err != nil || plain {
		return err
	}
	r.Header, err = decodeHeader(b)
	return err
}
