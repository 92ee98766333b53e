package onceward

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxKeyLen is the longest Scope and the longest Value of a Key, in bytes.
const MaxKeyLen = 255

// ReservedScope begins the scopes that the library keeps records of its own
// under; Engine.Do refuses them.
const ReservedScope = "onceward:"

// Key is the identity of one operation: whose key it is, and the key itself.
// Two requests with equal Keys are the same operation.
type Key struct {
	// Scope names the authenticated principal, up to MaxKeyLen bytes of UTF-8
	// without control characters. Keys of different scopes never meet. Empty
	// is a scope of its own, for servers with a single tenant.
	Scope string
	// Value is the idempotency key, 1 to MaxKeyLen bytes, same alphabet.
	Value string
}

// Validate reports whether k can be stored. The error wraps ErrKeyInvalid.
func (k Key) Validate() error {
	if k.Value == "" {
		return fmt.Errorf("%w: it is empty", ErrKeyInvalid)
	}
	if err := validText(k.Value); err != nil {
		return fmt.Errorf("%w: %w", ErrKeyInvalid, err)
	}
	if err := validText(k.Scope); err != nil {
		return fmt.Errorf("%w: its scope: %w", ErrKeyInvalid, err)
	}
	return nil
}

func validText(s string) error {
	if len(s) > MaxKeyLen {
		return fmt.Errorf("%d bytes are more than the %d allowed", len(s), MaxKeyLen)
	}
	for i, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("byte %d is a control character", i)
		}
	}
	if !utf8.ValidString(s) {
		return errors.New("not valid UTF-8")
	}
	return nil
}

// ID is the public name of an operation, a version 8 UUID derived from its
// Key: it is known before anything is stored, is the same on every instance,
// and survives the record. It reveals neither scope nor value.
type ID [16]byte

// ID derives the operation's public name from k.
func (k Key) ID() ID {
	// The length prefix keeps ("a","bc") and ("ab","c") apart.
	buf := make([]byte, 0, 2*MaxKeyLen+2)
	buf = append(buf, byte(len(k.Scope)>>8), byte(len(k.Scope))) //nolint:gosec // at most MaxKeyLen
	buf = append(buf, k.Scope...)
	buf = append(buf, k.Value...)
	sum := sha256.Sum256(buf)
	id := ID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String returns the UUID in its usual form, 36 characters.
func (id ID) String() string { return formatUUID(id) }

// ParseID reads what ID.String wrote.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return id, errors.New("onceward: an operation id has the form xxxxxxxx-xxxx-8xxx-xxxx-xxxxxxxxxxxx")
	}
	if _, err := hex.Decode(id[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return ID{}, fmt.Errorf("onceward: an operation id is hexadecimal: %w", err)
	}
	return id, nil
}

// Owner names one claimant. It is drawn at random for every claim, so that
// two claimants that were given the same token by a damaged store still
// cannot overwrite each other.
type Owner [16]byte

// NewOwner draws a random Owner.
func NewOwner() Owner {
	var o Owner
	binary.LittleEndian.PutUint64(o[:8], rand.Uint64()) //nolint:gosec // uniqueness is needed, not secrecy
	binary.LittleEndian.PutUint64(o[8:], rand.Uint64()) //nolint:gosec // uniqueness is needed, not secrecy
	return o
}

// String returns the owner in UUID form.
func (o Owner) String() string { return formatUUID(o) }

func formatUUID(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// ulidEpoch is the earliest moment a ULID is believed: the format is younger,
// so an older reading means that the key only looks like one.
var ulidEpoch = time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)

// Time returns the moment a time-ordered key was made, when Value is a
// UUIDv7 (RFC 9562) or a ULID; ok is false for every other key.
func (k Key) Time() (t time.Time, ok bool) {
	switch len(k.Value) {
	case 36:
		return uuidv7Time(k.Value)
	case 26:
		return ulidTime(k.Value)
	default:
		return time.Time{}, false
	}
}

func uuidv7Time(s string) (time.Time, bool) {
	id, err := ParseID(s)
	if err != nil || id[6]>>4 != 7 || id[8]>>6 != 2 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms), true
}

func ulidTime(s string) (time.Time, bool) {
	var ms int64
	for i := range len(s) {
		v := crockford(s[i])
		if v < 0 || i == 0 && v > 7 {
			return time.Time{}, false
		}
		if i < 10 {
			ms = ms<<5 | int64(v)
		}
	}
	t := time.UnixMilli(ms)
	return t, !t.Before(ulidEpoch)
}

// crockford returns the value of one base 32 digit, or -1.
func crockford(c byte) int {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	for i := range len(digits) {
		if digits[i] == c {
			return i
		}
	}
	return -1
}
