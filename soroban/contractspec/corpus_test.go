package contractspec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

var update = flag.Bool("update", false, "write testdata/corpus.json anew")

const corpusFile = "testdata/corpus.json"

// corpus is what this package and the JavaScript SDK must agree on. The suites
// of devchain/jstest read the same file: there the SDK's own contract.Spec
// converts every value both ways.
type corpus struct {
	// Entries are base64 of xdr.ScSpecEntry.
	Entries []string       `json:"entries"`
	Values  []corpusValue  `json:"values"`
	Refused []corpusRefuse `json:"refused"`
}

type corpusValue struct {
	Function string `json:"function"`
	// JSON is the canonical form, which Args reads and Result writes.
	JSON json.RawMessage `json:"json"`
	// XDR is base64 of xdr.ScVal.
	XDR string `json:"xdr"`
}

type corpusRefuse struct {
	Function string `json:"function"`
	// Text is JSON as it was written: a reader would lose digits and members.
	Text     string `json:"text"`
	Pointer  string `json:"pointer"`
	Expected string `json:"expected,omitempty"`
	Problem  string `json:"problem"`
}

func corpusEntries() []xdr.ScSpecEntry {
	entries := declared()
	kinds := echoes()
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		kind := kinds[name]
		entries = append(entries, function(name, &kind, param{"v", kind}))
	}
	return entries
}

// writeCorpus makes the file of the tables of this package.
func writeCorpus(t *testing.T) {
	t.Helper()
	spec := fixture(t)
	var c corpus
	for _, entry := range corpusEntries() {
		encoded, err := xdr.MarshalBase64(entry)
		if err != nil {
			t.Fatal(err)
		}
		c.Entries = append(c.Entries, encoded)
	}
	for _, tc := range roundTrips {
		v := convert(t, spec, tc.function, tc.in)
		encoded, err := xdr.MarshalBase64(v)
		if err != nil {
			t.Fatal(err)
		}
		out := json.RawMessage(result(t, spec, tc.function, v))
		same := func(known corpusValue) bool { return known.Function == tc.function && known.XDR == encoded }
		if !slices.ContainsFunc(c.Values, same) {
			c.Values = append(c.Values, corpusValue{tc.function, out, encoded})
		}
	}
	for _, tc := range refusals {
		if !json.Valid([]byte(tc.value)) || !utf8.ValidString(tc.value) || tc.pointer == "" || tc.function == "missing" {
			continue // what is no value at all is not the SDK's concern
		}
		_, err := spec.Args(tc.function, json.RawMessage(`{"v":`+tc.value+`}`))
		problem, ok := errors.AsType[*contractspec.ValueError](err)
		if !ok {
			t.Fatalf("%s: %v", tc.value, err)
		}
		c.Refused = append(c.Refused, corpusRefuse{
			tc.function, tc.value, problem.Pointer, problem.Expected, problem.Problem,
		})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(corpusFile, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readCorpus(tb testing.TB) (corpus, *contractspec.Spec) {
	tb.Helper()
	raw, err := os.ReadFile(corpusFile)
	if err != nil {
		tb.Fatal(err)
	}
	var c corpus
	if err := json.Unmarshal(raw, &c); err != nil {
		tb.Fatal(err)
	}
	entries := make([]xdr.ScSpecEntry, len(c.Entries))
	for i, encoded := range c.Entries {
		if err := xdr.SafeUnmarshalBase64(encoded, &entries[i]); err != nil {
			tb.Fatal(err)
		}
	}
	spec, err := contractspec.New(entries)
	if err != nil {
		tb.Fatal(err)
	}
	return c, spec
}

// compact undoes the file's indentation.
func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// The corpus pins the encoding of every type: XDR from JSON, JSON from XDR.
func TestCorpus(t *testing.T) {
	t.Parallel()
	if *update {
		writeCorpus(t)
	}
	c, spec := readCorpus(t)
	seen := map[string]bool{}
	for _, tc := range c.Values {
		seen[tc.Function] = true
		in := compact(t, tc.JSON)
		encoded, err := xdr.MarshalBase64(convert(t, spec, tc.Function, in))
		if err != nil || encoded != tc.XDR {
			t.Errorf("Args(%s, %s) = %s (%v), want %s", tc.Function, in, encoded, err, tc.XDR)
		}
		var v xdr.ScVal
		if err := xdr.SafeUnmarshalBase64(tc.XDR, &v); err != nil {
			t.Fatal(err)
		}
		if out := result(t, spec, tc.Function, v); canonical(t, out) != canonical(t, in) {
			t.Errorf("Result(%s, %s) = %s, want %s", tc.Function, tc.XDR, out, in)
		}
	}
	for _, tc := range c.Refused {
		_, err := spec.Args(tc.Function, json.RawMessage(`{"v":`+tc.Text+`}`))
		got, ok := errors.AsType[*contractspec.ValueError](err)
		if !ok || got.Pointer != tc.Pointer || got.Expected != tc.Expected || got.Problem != tc.Problem {
			t.Errorf("Args(%s, %s): %v; the corpus says %s: %s (expected %s)",
				tc.Function, tc.Text, err, tc.Pointer, tc.Problem, tc.Expected)
		}
	}
	for name := range echoes() {
		if name != "missing" && !seen[name] {
			t.Errorf("no value of type %q in the corpus", name)
		}
	}
}
