package expr_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
)

var all = []string{expr.VarRequest, expr.VarBody, expr.VarPrincipal, expr.VarClaims, expr.VarScope}

func input(t *testing.T, body string) *expr.Input {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/x?q=1&q=2", nil)
	r.Header.Add("X-Tenant", "acme")
	r.SetPathValue("id", "7")
	value, err := expr.ParseBody([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &expr.Input{
		Request: expr.NewRequest(r, expr.Params("POST /v1/x/{id}")), Body: value, Scope: "s",
		Principal: &expr.Principal{ID: "alice", Method: "jwt", Claims: map[string]any{"role": "minter", "level": 3.0}},
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	const body = `{"a":1,"big":170141183460469231731687303715884105727,"neg":-9223372036854775809,"s":"x","f":1.5,"e":1e3,
		"l":[1,"two",null],"m":{"k":true},"n":null,"t":"2026-01-01T00:00:00Z"}`
	for source, want := range map[string]string{
		`body.a`:                            `1`,
		`body.a + 1`:                        `2`,
		`body.big`:                          `170141183460469231731687303715884105727`,
		`[body.big, body.neg]`:              `[170141183460469231731687303715884105727,-9223372036854775809]`,
		`string(body.big)`:                  `"170141183460469231731687303715884105727"`,
		`body.big == body.big`:              `true`,
		`body.big == body.neg`:              `false`,
		`body.s.upperAscii() + scope`:       `"Xs"`,
		`body.l`:                            `[1,"two",null]`,
		`body.m`:                            `{"k":true}`,
		`has(body.zzz) ? body.zzz : 'none'`: `"none"`,
		`body.f < 2.0`:                      `true`,
		`body.n == null`:                    `true`,
		`timestamp(body.t)`:                 `1767225600`,
		`b'\x00\xff'`:                       `"00ff"`,
		`request.method + request.path`:     `"POST/v1/x"`,
		`request.headers['x-tenant']`:       `"acme"`,
		`request.query['q']`:                `"1"`,
		`request.params['id']`:              `"7"`,
		`principal.id + claims.role`:        `"aliceminter"`,
		`'x-none' in request.headers`:       `false`,
		`{'k': [1, 2]}`:                     `{"k":[1,2]}`,
	} {
		p, err := expr.Compile(source, expr.JSON, all...)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		v, err := p.Eval(t.Context(), input(t, body))
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := expr.Encode(v); err != nil || string(got) != want {
			t.Errorf("%s gives %s, %v; want %s", source, got, err, want)
		}
	}
	for _, source := range []string{`body.f`, `body.e`, `[body.f]`, `body.zzz`, `body.big + 1`, `claims.level`} {
		p, err := expr.Compile(source, expr.JSON, all...)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Eval(t.Context(), input(t, body))
		if err == nil {
			_, err = expr.Encode(v)
		}
		if err == nil {
			t.Errorf("%s has a value", source)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		want   expr.Result
		vars   []string
		says   string
	}{
		{`body.a`, expr.Text, []string{expr.VarRequest, expr.VarPrincipal}, "1:1: body is not known here; there is request, principal"},
		{`request.metod`, expr.Text, all, "there is no field metod"},
		{`1 + `, expr.JSON, all, "is not an expression"},
		{`request.method`, expr.Bool, all, "gives string, but true or false is needed"},
		{`request.path == 1`, expr.Bool, all, "no matching overload"},
		{`1.5`, expr.JSON, all, "a number with a fraction"},
		{`request`, expr.JSON, all, "a value is needed"},
		{`request.path.matches('(')`, expr.Bool, all, "invalid matches argument"},
		{strings.Repeat("x", 5000), expr.JSON, all, "size exceeds"},
		{strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500), expr.JSON, all, "recursion"},
		{"", expr.JSON, all, "is not an expression"},
	} {
		_, err := expr.Compile(c.source, c.want, c.vars...)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40s: %v", c.source, err)
		}
	}
}

// Nothing that a client sends makes an expression run for long.
func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	p, err := expr.Compile(`body.l.all(a, body.l.all(b, body.l.all(c, a + b + c >= 0)))`, expr.Bool, all...)
	if err != nil {
		t.Fatal(err)
	}
	long := `{"l":[` + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + `]}`
	if _, err := p.EvalBool(t.Context(), input(t, long)); err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("got %v", err)
	}
	if ok, err := p.EvalBool(t.Context(), input(t, `{"l":[1,2]}`)); err != nil || !ok {
		t.Errorf("a short list: %v %v", ok, err)
	}
}

func TestWhatAnExpressionNames(t *testing.T) {
	t.Parallel()
	for source, c := range map[string]struct {
		path    []string
		members []string
		whole   bool
	}{
		`body.to`:                                {[]string{"to"}, []string{"to"}, false},
		`body.a.b`:                               {[]string{"a", "b"}, []string{"a"}, false},
		`has(body.a) ? body.b : 1`:               {nil, []string{"a", "b"}, false},
		`body["a"]`:                              {nil, nil, true},
		`body.l.exists(x, x == body.y)`:          {nil, []string{"l", "y"}, false},
		`scope`:                                  {nil, nil, false},
		`[body]`:                                 {nil, nil, true},
		`body.map(k, k).size() == 0 || body.x`:   {nil, []string{"x"}, true},
		`request.path == "/" ? body.a : body.a2`: {nil, []string{"a", "a2"}, false},
	} {
		p, err := expr.Compile(source, expr.JSON, all...)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		var members []string
		for m := range p.Members {
			members = append(members, m)
		}
		slices.Sort(members)
		if !slices.Equal(p.Path, c.path) || !slices.Equal(members, c.members) || p.Whole != c.whole {
			t.Errorf("%s: path %v, members %v, whole %v", source, p.Path, members, p.Whole)
		}
	}
}

func TestParseBody(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		``, `{`, `{"a":1,"a":2}`, `{"a":{"b":1,"b":1}}`, `1 2`, `nope`, strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		if v, err := expr.ParseBody([]byte(bad)); err == nil {
			t.Errorf("%.20s is read as %v", bad, v)
		}
	}
}

func FuzzBodyIsExact(f *testing.F) {
	for _, s := range []string{`1`, `-0`, `1e400`, `18446744073709551616`, `{"a":[1,null,"x"]}`, `"\u0000"`} {
		f.Add(s)
	}
	p, err := expr.Compile(`body`, expr.JSON, expr.VarBody)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		value, err := expr.ParseBody([]byte(body))
		if err != nil {
			return
		}
		v, err := p.Eval(t.Context(), &expr.Input{Body: value})
		if err != nil {
			return
		}
		once, err := expr.Encode(v)
		if err != nil {
			return
		}
		again, err := expr.ParseBody(once)
		if err != nil {
			t.Fatalf("%q becomes %q, which is not read: %v", body, once, err)
		}
		if v, err = p.Eval(t.Context(), &expr.Input{Body: again}); err != nil {
			t.Fatal(err)
		}
		if twice, err := expr.Encode(v); err != nil || string(twice) != string(once) {
			t.Fatalf("%q, then %q: %v", once, twice, err)
		}
	})
}
