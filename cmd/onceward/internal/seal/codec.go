package seal

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/onceward/onceward"
)

// What is sealed is written as lengths and bytes, so that any bytes survive.

func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// fields joins what a ciphertext is bound to, unambiguously.
func fields[T ~string | ~[]byte](all ...T) []byte {
	b := []byte("onceward seal 1\x00")
	for _, f := range all {
		b = appendText(b, f)
	}
	return b
}

func encodeHeader(h map[string][]string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		b = appendText(b, name)
		b = binary.AppendUvarint(b, uint64(len(h[name])))
		for _, v := range h[name] {
			b = appendText(b, v)
		}
	}
	return b
}

func decodeHeader(b []byte) (map[string][]string, error) {
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
	return h, d.end()
}

func encodeCheckpoints(cps []onceward.Checkpoint) []byte {
	b := binary.AppendUvarint(nil, uint64(len(cps)))
	for _, c := range cps {
		b = appendText(b, c.Name)
		b = appendText(b, c.Data)
		at, _ := c.At.UTC().MarshalBinary() // fails for zones of odd seconds only
		b = appendText(b, at)
	}
	return b
}

func decodeCheckpoints(b []byte) ([]onceward.Checkpoint, error) {
	d := decoder{rest: b}
	cps := make([]onceward.Checkpoint, d.length())
	for i := range cps {
		cps[i].Name = string(d.bytes())
		cps[i].Data = slices.Clone(d.bytes())
		if err := cps[i].At.UnmarshalBinary(d.bytes()); err != nil {
			d.broken = true
		}
	}
	return cps, d.end()
}

// decoder reads what was appended; once it is broken it yields zeros.
type decoder struct {
	rest   []byte
	broken bool
}

// length reads how many bytes, or items of at least one byte, follow.
func (d *decoder) length() int {
	v, n := binary.Uvarint(d.rest)
	if d.broken = d.broken || n <= 0; d.broken {
		return 0
	}
	d.rest = d.rest[n:]
	if d.broken = v > uint64(len(d.rest)); d.broken {
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

func (d *decoder) end() error {
	if d.broken || len(d.rest) > 0 {
		return fmt.Errorf("%w: a sealed field cannot be read", ErrTampered)
	}
	return nil
}

// text makes a ciphertext fit for a header.
func text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func untext(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }
