package oncehttp_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/onceward/onceward/oncehttp"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		` { "b" : 1 , "a" : [ true , null , { } , [ ] ] } `: `{"a":[true,null,{},[]],"b":1}`,
		`0`:                                    `0`,
		`-0`:                                   `0`,
		`0.0e99999`:                            `0`,
		`1.0`:                                  `1`,
		`10e-1`:                                `1`,
		`1E2`:                                  `100`,
		`0.1`:                                  `0.1`,
		`-1.50`:                                `-1.5`,
		`1e21`:                                 `1e+21`,
		`123456789012345680000`:                `123456789012345680000`,
		`0.000001`:                             `0.000001`,
		`0.0000001`:                            `1e-7`,
		`1.7976931348623157e308`:               `1.7976931348623157e+308`,
		`5e-324`:                               `5e-324`,
		`9007199254740992`:                     `9007199254740992`,
		`9007199254740991.0`:                   `9007199254740991`,
		`"\u0041\/\u000b\b\f\n\r\t\"\\"`:       `"A/\u000b\b\f\n\r\t\"\\"`,
		`"\u20ac\ud83d\ude00` + "\u007f" + `"`: "\"€😀\u007f\"",
		// By UTF-16 units U+1F600 (d83d de00) comes before U+FB33.
		`{"\ufb33":1,"\ud83d\ude00":2,"\ud83d\ude01":3,"\r":4,"1":5,"":6,"10":7,"\u00f6":8,"\u20ac":9}`: "{\"\":6,\"\\r\":4,\"1\":5,\"10\":7,\"ö\":8,\"€\":9,\"😀\":2,\"😁\":3,\"\ufb33\":1}",
	} {
		got, err := oncehttp.Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("Canonical(%s) = %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	t.Parallel()
	for in, why := range map[string]string{
		``:                            "malformed",
		`{"a":1`:                      "malformed",
		`{} {}`:                       "malformed",
		`01`:                          "malformed",
		`{"a":1,"a":1}`:               "twice",
		`{"a":1,"\u0061":2}`:          "twice",
		`[{"b":{"a":1,"c":2,"a":3}}]`: "twice",
		`9007199254740993`:            "digits",
		`0.1000000000000000055`:       "digits",
		`1e-400`:                      "digits",
		`1e400`:                       "too large",
		`-1e309`:                      "too large",
		`"\ud800"`:                    "surrogate",
		`"\udc00\ud800"`:              "surrogate",
		`"\ud800x"`:                   "surrogate",
		`"\ud800\n"`:                  "surrogate",
		`{"\ud800":1}`:                "surrogate",
		"\"\xff\"":                    "UTF-8",
		strings.Repeat("[", 130) + strings.Repeat("]", 130): "levels",
	} {
		if got, err := oncehttp.Canonical([]byte(in)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("Canonical(%.40s) = %s, %v; want an error about %s", in, got, err, why)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.5e3,"\ud83d\ude00"],"a":{}}`, `1e21`, `"\u0001"`, `[[],{}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := oncehttp.Canonical(in)
		if err != nil {
			return
		}
		again, err := oncehttp.Canonical(out)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%q → %q → %q, %v", in, out, again, err)
		}
		var a, b any
		if err := json.Unmarshal(in, &a); err != nil {
			t.Fatalf("%q was accepted: %v", in, err)
		}
		if err := json.Unmarshal(out, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%q means %v, %q means %v, %v", in, a, out, b, err)
		}
	})
}
