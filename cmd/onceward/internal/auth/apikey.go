package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/secret"
)

// An API key reads owk_ID_SECRETCHECK, in lower-case base 32:
//
//	ID      10 bytes, the name under which it is kept
//	SECRET  32 random bytes
//	CHECK   the CRC-32 of everything before it
//
// The prefix lets scanners find keys in places where they do not belong; the
// checksum spares them false alarms, and us a look into the store.
const (
	tokenPrefix = "owk_"
	idLen       = 16 // characters
	secretLen   = 52
	checkLen    = 7
	tokenLen    = len(tokenPrefix) + idLen + 1 + secretLen + checkLen
)

var base32lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken draws a token.
func newToken() (token secret.Text, id string) {
	b := make([]byte, 10+32)
	_, _ = rand.Read(b) // never fails
	id = base32lower.EncodeToString(b[:10])
	text := tokenPrefix + id + "_" + base32lower.EncodeToString(b[10:])
	return secret.New(text + checksum(text)), id
}

func checksum(text string) string {
	return base32lower.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// parseToken returns the ID of a token that is well formed, and the hash under
// which it is kept. The secret has 256 random bits: nobody finds it by trying,
// so a fast hash will do.
func parseToken(token string) (id string, hash [sha256.Size]byte, ok bool) {
	if len(token) != tokenLen || !strings.HasPrefix(token, tokenPrefix) {
		return "", hash, false
	}
	body, check := token[:tokenLen-checkLen], token[tokenLen-checkLen:]
	id = body[len(tokenPrefix) : len(tokenPrefix)+idLen]
	if body[len(tokenPrefix)+idLen] != '_' || checksum(body) != check || !validID(id) {
		return "", hash, false
	}
	return id, sha256.Sum256([]byte(token)), true
}

func validID(id string) bool {
	b, err := base32lower.DecodeString(id)
	return err == nil && base32lower.EncodeToString(b) == id && len(id) == idLen
}
