package oncehttp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

func TestDiffering(t *testing.T) {
	t.Parallel()
	type call struct{ method, path, contentType, body string }
	many := func(n int, last string) string {
		var b strings.Builder
		b.WriteString(`{"items":[0`)
		for i := range n {
			fmt.Fprintf(&b, ",%d", i)
		}
		return b.String() + `],"last":` + last + `}`
	}
	members := func(n int, last string) string {
		var b strings.Builder
		b.WriteString(`{"last":` + last)
		for i := range n {
			fmt.Fprintf(&b, `,"m%d":1`, i)
		}
		return b.String() + "}"
	}
	const js = "application/json"
	base := call{"POST", "/v1/orders?a=1", js, `{"amount":1,"to":{"name":"x","tags":["a","b"]},"a/b~c":1}`}
	for name, c := range map[string]struct {
		first, second call
		want          string
	}{
		"method":       {base, call{"PATCH", base.path, js, base.body}, "[method]"},
		"path":         {base, call{"POST", "/v1/order?a=1", js, base.body}, "[path]"},
		"query":        {base, call{"POST", "/v1/orders?a=2", js, base.body}, "[query]"},
		"content type": {base, call{"POST", base.path, "application/problem+json", base.body}, "[content-type]"},
		"value":        {base, call{"POST", base.path, js, strings.Replace(base.body, "1", "2", 1)}, "[/amount]"},
		"nested":       {base, call{"POST", base.path, js, strings.Replace(base.body, `"b"`, `"c"`, 1)}, "[/to/tags/1]"},
		"escaped":      {base, call{"POST", base.path, js, strings.Replace(base.body, `c":1`, `c":2`, 1)}, "[/a~1b~0c]"},
		"removed":      {base, call{"POST", base.path, js, strings.Replace(base.body, `"amount":1,`, "", 1)}, "[/amount]"},
		"added":        {base, call{"POST", base.path, js, strings.Replace(base.body, `"amount"`, `"memo":"","amount"`, 1)}, "[/memo]"},
		"emptied":      {base, call{"POST", base.path, js, strings.Replace(base.body, `["a","b"]`, `[]`, 1)}, "[/to/tags /to/tags/0 /to/tags/1]"},
		"spacing":      {base, call{"POST", base.path, js, base.body + " "}, "[body]"},
		"not JSON":     {base, call{"POST", base.path, js, `{"amount":`}, "[body]"},
		"trailing":     {base, call{"POST", base.path, js, base.body + "x"}, "[body]"},
		"text":         {call{"POST", "/", "text/plain", "a"}, call{"POST", "/", "text/plain", "b"}, "[body]"},
		"scalar":       {call{"POST", "/", js, "1"}, call{"POST", "/", js, "2"}, "[body]"},
		"no body":      {base, call{"POST", base.path, js, ""}, "[body]"},
		"much": {
			call{"POST", "/", js, many(100, "1")},
			call{"POST", "/", js, many(100, "2")},
			"[/last]",
		},
		"much changed": {
			call{"POST", "/", js, many(100, "1")},
			call{"POST", "/", js, many(101, "1")},
			"[/items]",
		},
		"too much": {
			call{"POST", "/", js, members(100, "1")},
			call{"POST", "/", js, members(100, "2")},
			"[body]",
		},
		"long name": {
			call{"POST", "/", js, `{"` + strings.Repeat("n", 200) + `":1}`},
			call{"POST", "/", js, `{"` + strings.Repeat("n", 200) + `":2}`},
			"[body]",
		},
		"duplicates": {
			call{"POST", "/", js, `{"a":1,"a":2,"b":1}`},
			call{"POST", "/", js, `{"a":2,"a":1,"b":1}`},
			"[/a]",
		},
		"everything": {
			call{"POST", "/a?b=1", js, `{"a":1}`},
			call{"PATCH", "/b?b=2", "application/x+json", `{"a":2}`},
			"[method path query content-type /a]",
		},
	} {
		for _, secret := range []string{"", "a secret"} {
			s := newSite(t, onceward.Config{}, oncehttp.Options{Secret: []byte(secret)}, saying(200, "ok"))
			send := func(c call) reply {
				return s.call(c.method, c.path, c.body, "Idempotency-Key", "k", "Content-Type", c.contentType)
			}
			send(c.first).want(t, 200, "ok")
			r := send(c.second)
			p := r.problem(t, 422, onceward.CodeKeyReused)
			if got := fmt.Sprint(p["differing"]); got != c.want {
				t.Errorf("%s: differing %s, want %s", name, got, c.want)
			}
			if !send(c.first).replayed() {
				t.Errorf("%s: the original is not replayed", name)
			}
		}
	}
}

// Neither the answer nor the store may show what the request said, and with a
// secret the stored hashes are not those of guesses.
func TestDetailKeepsNoValuesAndIsBounded(t *testing.T) {
	t.Parallel()
	record := func(secret, body string) onceward.Record {
		s := newSite(t, onceward.Config{}, oncehttp.Options{Secret: []byte(secret)}, saying(200, ""))
		s.post("k", body).want(t, 200, "")
		rec, err := s.eng.Get(t.Context(), onceward.Key{Value: "k"})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	plain, keyed := record("", `{"pin":"4711"}`), record("x", `{"pin":"4711"}`)
	if string(plain.Fingerprint) == string(keyed.Fingerprint) || string(plain.Detail) == string(keyed.Detail) {
		t.Error("the secret changes nothing")
	}
	if again := record("", `{"pin":"4711"}`); string(again.Fingerprint) != string(plain.Fingerprint) || string(again.Detail) != string(plain.Detail) {
		t.Error("the fingerprint is not stable")
	}
	if strings.Contains(string(plain.Detail), "4711") {
		t.Error("the detail has the value")
	}
	var b strings.Builder
	for i := range 64 {
		fmt.Fprintf(&b, `,"%s%d":%d`, strings.Repeat("n", 120), i, i)
	}
	if rec := record("", "{"+b.String()[1:]+"}"); len(rec.Detail) < 64*120 || len(rec.Detail) > 16<<10 {
		t.Errorf("detail of %d bytes", len(rec.Detail))
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{Fields: []string{"/amount", "/to/0/na~1me", "/gone"}}, saying(200, "ok"))
	s.post("k", `{"amount":1.0,"to":[{"na/me":"x"}],"sent_at":1}`).want(t, 200, "ok")
	if r := s.post("k", `{"sent_at":2,"to":[{"na/me":"x"},{}],"amount":1}`); !r.replayed() {
		t.Fatal(r.body)
	}
	for body, want := range map[string]string{
		`{"amount":2,"to":[{"na/me":"x"}]}`:             "[/amount]",
		`{"amount":1,"to":[{"na/me":"y"}]}`:             "[/to/0/na~1me]",
		`{"amount":1,"to":{"0":1}}`:                     "[/to/0/na~1me]",
		`{"amount":1,"to":[{"na/me":"x"}],"gone":null}`: "[/gone]",
		`[1]`: "[/amount /to/0/na~1me]",
	} {
		p := s.post("k", body).problem(t, 422, onceward.CodeKeyReused)
		if got := fmt.Sprint(p["differing"]); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	s.call("POST", "/v1/orders", "amount=1", "Idempotency-Key", "form").want(t, 200, "ok")
	s.call("POST", "/v1/orders", "amount=2", "Idempotency-Key", "form").problem(t, 422, onceward.CodeKeyReused)
}

func TestCanonicalJSONIgnoresSpelling(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{CanonicalJSON: true}, saying(200, "ok"))
	s.post("k", `{"a":1.0,"b":"\u0078"}`).want(t, 200, "ok")
	if r := s.post("k", ` {"b":"x", "a":1}`); !r.replayed() {
		t.Fatal(r.body)
	}
	p := s.post("k", `{"b":"x","a":2}`).problem(t, 422, onceward.CodeKeyReused)
	if got := fmt.Sprint(p["differing"]); got != "[/a]" {
		t.Fatal(got)
	}
	p = s.post("k2", `{"b":9007199254740993}`).problem(t, 400, oncehttp.CodePayloadInvalid)
	if !strings.Contains(p["detail"].(string), "9007199254740993") {
		t.Fatal(p)
	}
}
