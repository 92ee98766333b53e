package contractspec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

var header = []byte("\x00asm\x01\x00\x00\x00")

// section frames a wasm section; a custom one carries its name first.
func section(id byte, name string, body []byte) []byte {
	var content []byte
	if id == 0 {
		content = append(binary.AppendUvarint(nil, uint64(len(name))), name...)
	}
	content = append(content, body...)
	return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
}

func stream(tb testing.TB, entries ...xdr.ScSpecEntry) []byte {
	tb.Helper()
	var out []byte
	for _, entry := range entries {
		b, err := entry.MarshalBinary()
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func TestParseJoinsSections(t *testing.T) {
	t.Parallel()
	spec1 := stream(t, function("first", &tU32, param{"a", tU32}))
	spec2 := stream(t, function("second", nil), errorEnum("Error", "NotFound"))
	wasm := slices.Concat(header,
		section(1, "", []byte{0}),
		section(0, "contractspecv0", spec1[:10]), // an entry may even be split
		section(0, "other", []byte("x")),
		section(0, "contractspecv0", spec1[10:]),
		section(10, "", []byte{1, 2, 3}),
		section(0, "contractspecv0", spec2))
	spec, err := contractspec.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	functions := spec.Functions()
	if len(functions) != 2 || functions[0].Name != "first" || functions[1].Name != "second" {
		t.Fatalf("functions = %+v", functions)
	}
	if in := functions[0].Inputs; len(in) != 1 || in[0].Name != "a" || contractspec.TypeName(in[0].Type) != "u32" {
		t.Errorf("inputs = %+v", in)
	}
	if functions[0].Output == nil || functions[1].Output != nil {
		t.Errorf("outputs = %v, %v", functions[0].Output, functions[1].Output)
	}
	if len(spec.Entries()) != 3 {
		t.Errorf("%d entries", len(spec.Entries()))
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := stream(t, function("f", nil))
	overlong := bytes.Replace(good, []byte{1, 'f'}, []byte{200, 'f'}, 1)
	for _, tc := range []struct {
		name string
		wasm []byte
		want error
	}{
		{"nothing", nil, contractspec.ErrMalformed},
		{"other magic", []byte("\x7fELF\x01\x00\x00\x00"), contractspec.ErrMalformed},
		{"other version", []byte("\x00asm\x02\x00\x00\x00"), contractspec.ErrMalformed},
		{"no sections", header, contractspec.ErrNoSpec},
		{"other sections", slices.Concat(header, section(0, "name", nil)), contractspec.ErrNoSpec},
		{"section without size", slices.Concat(header, []byte{0}), contractspec.ErrMalformed},
		{"size past the end", slices.Concat(header, []byte{0, 5, 1}), contractspec.ErrMalformed},
		{"size of six bytes", slices.Concat(header, []byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), contractspec.ErrMalformed},
		{"size over 32 bits", slices.Concat(header, []byte{0, 0xff, 0xff, 0xff, 0xff, 0x1f}), contractspec.ErrMalformed},
		{"name past the section", slices.Concat(header, []byte{0, 2, 9, 'x', 'y', 'z'}), contractspec.ErrMalformed},
		{"trailing byte", slices.Concat(header, section(0, "contractspecv0", good), []byte{0}), contractspec.ErrMalformed},
		{"half an entry", slices.Concat(header, section(0, "contractspecv0", good[:9])), contractspec.ErrMalformed},
		{"unknown entry", slices.Concat(header, section(0, "contractspecv0", []byte{0, 0, 0, 99})), contractspec.ErrMalformed},
		{"long name", slices.Concat(header, section(0, "contractspecv0", overlong)), contractspec.ErrMalformed},
		{"huge", append(slices.Clone(header), make([]byte, contractspec.MaxWasmBytes)...), contractspec.ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := contractspec.Parse(tc.wasm); !errors.Is(err, tc.want) {
				t.Errorf("error = %v, want %v", err, tc.want)
			}
		})
	}
}

func TestParseBoundsNesting(t *testing.T) {
	t.Parallel()
	// Each Option takes four bytes, so a small section can nest a quarter million of them.
	nested := stream(t, function("f", nil, param{"a", tOption(tU32)}))
	at := bytes.Index(nested, []byte{0, 0, 0x03, 0xe8})
	deep := slices.Concat(nested[:at], bytes.Repeat([]byte{0, 0, 0x03, 0xe8}, 250_000), nested[at:])
	_, err := contractspec.Parse(slices.Concat(header, section(0, "contractspecv0", deep)))
	if !errors.Is(err, contractspec.ErrMalformed) {
		t.Errorf("error = %v", err)
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	t.Parallel()
	entries := append(declared(), function("f", &tBool, param{"v", tUDT("Tree")}), xdr.ScSpecEntry{
		Kind:    xdr.ScSpecEntryKindScSpecEntryEventV0,
		EventV0: &xdr.ScSpecEventV0{Name: "voted", PrefixTopics: []xdr.ScSymbol{"voted"}},
	})
	wasm, err := contractspec.Encode(entries)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := contractspec.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	again, err := contractspec.Encode(spec.Entries())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wasm, again) {
		t.Error("the entries changed on the way")
	}
	if !bytes.Contains(wasm, []byte("contractenvmetav0")) {
		t.Error("no contractenvmetav0 section")
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, entry := range map[string]xdr.ScSpecEntry{
		"missing arm":  {Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0},
		"unknown kind": {Kind: 77},
		"long name":    structure(strings.Repeat("x", 61)),
		"inner arm":    function("f", nil, param{"a", xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVec}}),
	} {
		if _, err := contractspec.Encode([]xdr.ScSpecEntry{entry}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDuplicateDeclarations(t *testing.T) {
	t.Parallel()
	twice := []xdr.ScSpecEntry{
		function("same", nil, param{"v", tUDT("Item")}), function("same", nil, param{"v", tUDT("Item")}),
		function("other", nil), function("other", &tU32),
		function("uses", nil, param{"v", tUDT("Clash")}),
		structure("Item", param{"a", tU32}), structure("Item", param{"a", tU32}),
		structure("Clash", param{"a", tU32}), structure("Clash", param{"a", tI32}),
	}
	spec, err := contractspec.New(twice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spec.Args("same", []byte(`{"v":{"a":1}}`)); err != nil {
		t.Errorf("equal declarations are refused: %v", err)
	}
	if _, err := spec.Args("other", []byte(`{}`)); !errors.Is(err, contractspec.ErrMalformed) {
		t.Errorf("clashing functions: %v", err)
	}
	if _, err := spec.Args("uses", []byte(`{"v":{"a":1}}`)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("clashing types: %v", err)
	}
	if n := len(spec.Functions()); n != 3 {
		t.Errorf("%d functions", n)
	}
}

func TestErrorName(t *testing.T) {
	t.Parallel()
	first, second := tResult(tU32, tUDT("First")), tResult(tU32, tUDT("Second"))
	spec, err := contractspec.New([]xdr.ScSpecEntry{
		errorEnum("First", "NotFound", "AlreadyVoted", "Closed"),
		errorEnum("Second", "NotFound", "Paused"),
		function("a", &first), function("b", &second), function("c", nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		code           uint32
		name, inA, inB string
	}{
		{1, "NotFound", "NotFound", "NotFound"},
		{2, "", "AlreadyVoted", "Paused"}, // the enums disagree
		{3, "Closed", "Closed", "Closed"},
		{4, "", "", ""},
	} {
		if name, ok := spec.ErrorName(tc.code); name != tc.name || ok != (tc.name != "") {
			t.Errorf("ErrorName(%d) = %q, %t", tc.code, name, ok)
		}
		for function, want := range map[string]string{"a": tc.inA, "b": tc.inB, "c": tc.name, "nope": tc.name} {
			if name, ok := spec.FunctionErrorName(function, tc.code); name != want || ok != (want != "") {
				t.Errorf("FunctionErrorName(%s, %d) = %q, %t", function, tc.code, name, ok)
			}
		}
	}
}

func TestTypeName(t *testing.T) {
	t.Parallel()
	deep := tU32
	for range 100 {
		deep = tOption(deep)
	}
	for want, kind := range map[string]xdr.ScSpecTypeDef{
		"i128":                              tI128,
		"BytesN<32>":                        tBytesN(32),
		"Map<symbol, Vec<address>>":         tMap(tSymbol, tVec(tAddress)),
		"Result<(bool, string), Error>":     tResult(tTuple(tBool, tString), tUDT("Error")),
		"Option<Option<Option<Option<…>>>>": deep,
	} {
		if got := contractspec.TypeName(kind); got != want {
			t.Errorf("TypeName = %s, want %s", got, want)
		}
	}
}
