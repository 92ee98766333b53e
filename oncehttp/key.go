package oncehttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/sfv"
)

// ParseKey reads the value of a key header: a Structured Field string "abc",
// whose parameters are ignored, or, unless strict, the raw key abc. Both
// spell one key: 1 to 255 visible ASCII characters. Its error wraps
// onceward.ErrKeyInvalid.
func ParseKey(value string, strict bool) (string, error) {
	key := strings.Trim(value, " \t")
	if strict || strings.HasPrefix(key, `"`) {
		var err error
		if key, err = sfv.ParseString(key); err != nil {
			return "", fmt.Errorf(`%w: %w; write it as "key"`, onceward.ErrKeyInvalid, err)
		}
	}
	if err := checkKey(key); err != nil {
		return "", err
	}
	return key, nil
}

func checkKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: it is empty", onceward.ErrKeyInvalid)
	}
	if len(key) > onceward.MaxKeyLen {
		return fmt.Errorf("%w: it has %d characters; at most %d are allowed", onceward.ErrKeyInvalid, len(key), onceward.MaxKeyLen)
	}
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return fmt.Errorf("%w: character %d is not visible ASCII", onceward.ErrKeyInvalid, i+1)
		}
	}
	return nil
}

func keyInvalid(err error) *onceward.Error {
	return &onceward.Error{Code: onceward.CodeKeyInvalid, Err: err}
}

// headerKey reads the key from the header, "" when there is none.
func (g *guard) headerKey(h http.Header) (string, error) {
	values := h[g.opt.Header]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		key, err := ParseKey(values[0], g.opt.StrictKeys)
		if err != nil {
			return "", keyInvalid(err)
		}
		return key, nil
	}
	return "", keyInvalid(fmt.Errorf("%w: the %s header is sent %d times", onceward.ErrKeyInvalid, g.opt.Header, len(values)))
}

// bodyKey reads the key from the JSON body and says where its value stands,
// so that it can be left out of the comparison. The span is empty without one.
func (g *guard) bodyKey(contentType string, body []byte) (key string, at span, err error) {
	if g.opt.BodyKey == "" || !isJSON(contentType) || !json.Valid(body) {
		return "", span{}, nil
	}
	return g.memberKey(body)
}

// memberKey reads the key from a body that is JSON.
func (g *guard) memberKey(body []byte) (key string, at span, err error) {
	found := 0
	walkMembers(body, func(name []byte, value span) {
		if string(name) == g.opt.BodyKey {
			found++
			at = value
		}
	})
	if found == 0 {
		return "", span{}, nil
	}
	if found > 1 {
		return "", span{}, keyInvalid(fmt.Errorf("%w: the body has %q %d times", onceward.ErrKeyInvalid, g.opt.BodyKey, found))
	}
	raw := at.of(body)
	if !bytes.HasPrefix(raw, []byte(`"`)) {
		return "", span{}, keyInvalid(fmt.Errorf("%w: %q in the body is not a string", onceward.ErrKeyInvalid, g.opt.BodyKey))
	}
	if err := json.Unmarshal(raw, &key); err != nil {
		return "", span{}, keyInvalid(errors.Join(onceward.ErrKeyInvalid, err))
	}
	if err := checkKey(key); err != nil {
		return "", span{}, keyInvalid(err)
	}
	return key, at, nil
}
