package oncehttp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	const bad = ""
	for _, c := range []struct{ in, loose, strict string }{
		{`abc`, `abc`, bad},
		{`"abc"`, `abc`, `abc`},
		{` "abc" `, `abc`, `abc`},
		{"\tabc\t", `abc`, bad},
		{`"a\"b\\c"`, `a"b\c`, `a"b\c`},
		{`"abc";v=1`, `abc`, `abc`},
		{`"abc"; a;b=?0;c="x;y";d=tok/en:1;e=:aGk=:;f=-1.5;g=@12;h=%"f%c3%bc"`, `abc`, `abc`},
		{`"abc";*x=*y`, `abc`, `abc`},
		{`a;v=1`, `a;v=1`, bad},
		{`abc"`, `abc"`, bad},
		{`a,b`, `a,b`, bad},
		{`8e03978e-40d5-43dd-bc93-6894a57f9324`, `8e03978e-40d5-43dd-bc93-6894a57f9324`, bad},
		{`!~`, `!~`, bad},
		{``, bad, bad},
		{`""`, bad, bad},
		{`"`, bad, bad},
		{`"abc`, bad, bad},
		{`"a\bc"`, bad, bad},
		{`"abc\`, bad, bad},
		{`"abc"x`, bad, bad},
		{`"abc" ;v=1`, bad, bad},
		{`"abc";`, bad, bad},
		{`"abc";V=1`, bad, bad},
		{`"abc";v=`, bad, bad},
		{`"abc";v=1234567890123456`, bad, bad},
		{`"abc";v=1.`, bad, bad},
		{`"abc";v=1.2345`, bad, bad},
		{`"abc";v=:a`, bad, bad},
		{`"abc";v=:*:`, bad, bad},
		{`"abc";v=?2`, bad, bad},
		{`"abc";v=@1.5`, bad, bad},
		{`"abc";v=%x`, bad, bad},
		{`"abc";v=%"%C3"`, bad, bad},
		{`"abc";v=%"%c3"`, bad, bad},
		{`"abc";v=%"a`, bad, bad},
		{`"abc";v=(1)`, bad, bad},
		{`"a","b"`, bad, bad},
		{`"a b"`, bad, bad},
		{`a b`, bad, bad},
		{"a\x00b", bad, bad},
		{"a\x7f", bad, bad},
		{"é", bad, bad},
		{"\"a\x01\"", bad, bad},
		{strings.Repeat("k", 255), strings.Repeat("k", 255), bad},
		{strings.Repeat("k", 256), bad, bad},
		{`"` + strings.Repeat("k", 256) + `"`, bad, bad},
	} {
		for _, strict := range []bool{false, true} {
			want := c.loose
			if strict {
				want = c.strict
			}
			got, err := oncehttp.ParseKey(c.in, strict)
			switch {
			case want == bad && (got != "" || !errors.Is(err, onceward.ErrKeyInvalid)):
				t.Errorf("ParseKey(%q, %v) = %q, %v; want ErrKeyInvalid", c.in, strict, got, err)
			case want != bad && (got != want || err != nil):
				t.Errorf("ParseKey(%q, %v) = %q, %v; want %q", c.in, strict, got, err, want)
			}
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{`abc`, `"abc"`, `"a\"b";v=1;w="x"`, `"a";b=:aGk=:`, `"a";b=%"%c3%bc"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		loose, err := oncehttp.ParseKey(s, false)
		if err == nil {
			if err := (onceward.Key{Value: loose}).Validate(); err != nil {
				t.Fatalf("%q gives a key that the engine refuses: %v", s, err)
			}
			// Written in the other form, it is the same key.
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(loose) + `"`
			if again, err := oncehttp.ParseKey(quoted, true); again != loose || err != nil {
				t.Fatalf("%q → %q → %q, %v", s, loose, again, err)
			}
		}
		strict, strictErr := oncehttp.ParseKey(s, true)
		if strictErr == nil && (err != nil || strict != loose) {
			t.Fatalf("%q: strict %q, loose %q %v", s, strict, loose, err)
		}
	})
}

func TestKeyInTheBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{BodyKey: "key"}, saying(200, "ok"))
	call := func(body string, headers ...string) reply {
		return s.call("POST", "/", body, append(headers, "Content-Type", "application/vnd.x+json; charset=utf-8")...)
	}
	call(`{"a":{"key":"inner"},"k\u0065y":"k-\u0031"}`).want(t, 200, "ok")
	if r := call(`{"a":{"key":"inner"},"k\u0065y":"k-1"}`); !r.replayed() {
		t.Fatal("the spelling of the key counts:", r.body)
	}
	call(`{"a":2,"key":"k-1"}`).problem(t, 422, onceward.CodeKeyReused)
	call(`{"key":"h"}`, "Idempotency-Key", "h").want(t, 200, "ok")
	call(`{"key":"h"}`, "Idempotency-Key", "other").problem(t, 400, onceward.CodeKeyInvalid)
	call(`{"a":1}`).problem(t, 400, onceward.CodeKeyMissing)
	call(`{"a":1`).problem(t, 400, onceward.CodeKeyMissing)
	s.call("POST", "/", `{"key":"k"}`, "Content-Type", "text/plain").problem(t, 400, onceward.CodeKeyMissing)
}

func TestOtherHeaderName(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{Header: "x-request-key", Methods: []string{"PUT"}, StrictKeys: true}, saying(200, "ok"))
	s.call("PUT", "/", "", "X-Request-Key", `"k"`).want(t, 200, "ok")
	if r := s.call("PUT", "/", "", "X-Request-Key", `"k"`); !r.replayed() {
		t.Fatal(r.body)
	}
	s.call("PUT", "/", "", "X-Request-Key", `k`).problem(t, 400, onceward.CodeKeyInvalid)
	s.call("PUT", "/", "", "Idempotency-Key", `"k"`).problem(t, 400, onceward.CodeKeyMissing)
	s.call("POST", "/", "").want(t, 200, "ok")
}
