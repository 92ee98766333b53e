// Package codec is how SQL stores keep headers and checkpoints: lists of byte
// strings, each led by its length as a varint. Any bytes survive, and text stays
// legible in the database. What was not written by this package, or was damaged,
// is an error and never a panic.
package codec

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/onceward/onceward"
)

func appendBytes[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// EncodeHeader returns h as bytes, nil for nil.
func EncodeHeader(h map[string][]string) []byte {
	if h == nil {
		return nil
	}
	b := binary.AppendUvarint(make([]byte, 0, 128), uint64(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		b = appendBytes(b, name)
		b = binary.AppendUvarint(b, uint64(len(h[name])))
		for _, v := range h[name] {
			b = appendBytes(b, v)
		}
	}
	return b
}

// DecodeHeader reads what EncodeHeader wrote.
func DecodeHeader(b []byte) (map[string][]string, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // no header is a value
	}
	d := decoder{rest: b}
	n := d.length()
	h := make(map[string][]string, n)
	for range n {
		name := string(d.bytes())
		values := make([]string, d.length())
		for i := range values {
			values[i] = string(d.bytes())
		}
		h[name] = values
	}
	return h, d.end("header")
}

// EncodeCheckpoints returns cps as bytes, nil for none; times are cut off at the
// microsecond.
func EncodeCheckpoints(cps []onceward.Checkpoint) []byte {
	if len(cps) == 0 {
		return nil
	}
	b := binary.AppendUvarint(nil, uint64(len(cps)))
	for _, cp := range cps {
		b = appendBytes(b, cp.Name)
		b = appendBytes(b, cp.Data)
		b = binary.AppendVarint(b, cp.At.UnixMicro())
	}
	return b
}

// DecodeCheckpoints reads what EncodeCheckpoints wrote.
func DecodeCheckpoints(b []byte) ([]onceward.Checkpoint, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := decoder{rest: b}
	cps := make([]onceward.Checkpoint, d.length())
	for i := range cps {
		cps[i].Name = string(d.bytes())
		cps[i].Data = slices.Clone(d.bytes())
		cps[i].At = time.UnixMicro(d.varint()).UTC()
	}
	return cps, d.end("checkpoints")
}

// decoder reads what was appended; once it is broken it yields zeros.
type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	return advance(d, v, n)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	return advance(d, v, n)
}

func advance[T uint64 | int64](d *decoder, v T, n int) T {
	if d.broken = d.broken || n <= 0; d.broken {
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// length reads how many bytes, or items of at least one byte, follow.
func (d *decoder) length() int {
	v := d.uvarint()
	if d.broken = d.broken || v > uint64(len(d.rest)); d.broken {
		return 0
	}
	return int(v) //nolint:gosec // not above the length of a slice
}

func (d *decoder) bytes() []byte {
	n := d.length()
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) end(what string) error {
	if d.broken || len(d.rest) > 0 {
		return errors.New("the " + what + " of a record cannot be read")
	}
	return nil
}
