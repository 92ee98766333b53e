package contractspec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Spec is the interface a contract declares. It is immutable and safe for
// concurrent use.
type Spec struct {
	entries   []xdr.ScSpecEntry
	functions map[string]xdr.ScSpecFunctionV0
	order     []string // function names as declared
	types     map[string]xdr.ScSpecEntry
	// Names declared more than once with different content; only their use fails.
	ambiguousFunctions, ambiguousTypes map[string]bool
	errors                             map[uint32]string // empty name: several error enums disagree
}

// Param is one parameter of a function.
type Param struct {
	Name string
	Doc  string
	Type xdr.ScSpecTypeDef
}

// Function is a callable function of the contract.
type Function struct {
	Name   string
	Doc    string
	Inputs []Param
	// Output is nil when the function declares no result; it then returns void.
	Output *xdr.ScSpecTypeDef
}

// Parse reads the interface from a contract's wasm, as the ledger's contract
// code entry holds it. It returns ErrNoSpec when the module declares none and
// an error wrapping ErrMalformed when it cannot be read.
func Parse(wasm []byte) (*Spec, error) {
	stream, found, err := customSection(wasm, specSection)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNoSpec
	}
	entries, err := decodeEntries(stream)
	if err != nil {
		return nil, err
	}
	return index(entries), nil
}

// New makes a Spec of entries that were not read from wasm.
func New(entries []xdr.ScSpecEntry) (*Spec, error) {
	// Through the encoding, so that the Spec shares no memory with the caller
	// and holds nothing that Parse would refuse.
	wasm, err := Encode(entries)
	if err != nil {
		return nil, err
	}
	return Parse(wasm)
}

func index(entries []xdr.ScSpecEntry) *Spec {
	s := &Spec{
		entries:            entries,
		functions:          map[string]xdr.ScSpecFunctionV0{},
		types:              map[string]xdr.ScSpecEntry{},
		ambiguousFunctions: map[string]bool{},
		ambiguousTypes:     map[string]bool{},
		errors:             map[uint32]string{},
	}
	for _, entry := range entries {
		switch entry.Kind {
		case xdr.ScSpecEntryKindScSpecEntryFunctionV0:
			s.addFunction(*entry.FunctionV0)
		case xdr.ScSpecEntryKindScSpecEntryUdtStructV0:
			s.addType(entry.UdtStructV0.Name, entry)
		case xdr.ScSpecEntryKindScSpecEntryUdtUnionV0:
			s.addType(entry.UdtUnionV0.Name, entry)
		case xdr.ScSpecEntryKindScSpecEntryUdtEnumV0:
			s.addType(entry.UdtEnumV0.Name, entry)
		case xdr.ScSpecEntryKindScSpecEntryUdtErrorEnumV0:
			s.addType(entry.UdtErrorEnumV0.Name, entry)
			s.addErrors(entry.UdtErrorEnumV0.Cases)
		case xdr.ScSpecEntryKindScSpecEntryEventV0:
			// Reached through Entries only.
		}
	}
	return s
}

func (s *Spec) addFunction(f xdr.ScSpecFunctionV0) {
	name := string(f.Name)
	known, again := s.functions[name]
	switch {
	case !again:
		s.functions[name] = f
		s.order = append(s.order, name)
	case !reflect.DeepEqual(known, f):
		s.ambiguousFunctions[name] = true
	}
}

func (s *Spec) addType(name string, entry xdr.ScSpecEntry) {
	known, again := s.types[name]
	switch {
	case !again:
		s.types[name] = entry
	case !reflect.DeepEqual(known, entry):
		s.ambiguousTypes[name] = true
	}
}

func (s *Spec) addErrors(cases []xdr.ScSpecUdtErrorEnumCaseV0) {
	for _, c := range cases {
		code := uint32(c.Value)
		if known, again := s.errors[code]; again && known != c.Name {
			s.errors[code] = ""
			continue
		}
		s.errors[code] = c.Name
	}
}

// Entries returns all declarations in the contract's order, events included.
// The caller must not change what they point to.
func (s *Spec) Entries() []xdr.ScSpecEntry { return slices.Clone(s.entries) }

// Functions returns the contract's functions in the order it declares them.
func (s *Spec) Functions() []Function {
	all := make([]Function, 0, len(s.order))
	for _, name := range s.order {
		all = append(all, describe(s.functions[name]))
	}
	return all
}

// Function returns the function called name, or an error that wraps
// ErrUnknownFunction.
func (s *Spec) Function(name string) (Function, error) {
	f, ok := s.functions[name]
	if !ok {
		return Function{}, fmt.Errorf("%w: %q", ErrUnknownFunction, cut(name, maxPointerToken))
	}
	if s.ambiguousFunctions[name] {
		return Function{}, fmt.Errorf("%w: function %q is declared twice, differently", ErrMalformed, name)
	}
	return describe(f), nil
}

func describe(f xdr.ScSpecFunctionV0) Function {
	out := Function{Name: string(f.Name), Doc: f.Doc, Inputs: make([]Param, len(f.Inputs))}
	for i, input := range f.Inputs {
		out.Inputs[i] = Param{Name: input.Name, Doc: input.Doc, Type: input.Type}
	}
	if len(f.Outputs) > 0 {
		out.Output = &f.Outputs[0]
	}
	return out
}

// ErrorName returns the name of a contract error code. It reports false when no
// error enum declares the code, or when several declare it under different
// names: [Spec.FunctionErrorName] can then still tell.
func (s *Spec) ErrorName(code uint32) (name string, ok bool) {
	name = s.errors[code]
	return name, name != ""
}

// FunctionErrorName returns the name of a contract error code as raised by
// function: the error type in its Result decides, then any error enum.
func (s *Spec) FunctionErrorName(function string, code uint32) (name string, ok bool) {
	f, err := s.Function(function)
	if err != nil || f.Output == nil || f.Output.Type != xdr.ScSpecTypeScSpecTypeResult {
		return s.ErrorName(code)
	}
	if declared := f.Output.Result.ErrorType; declared.Type == xdr.ScSpecTypeScSpecTypeUdt {
		if enum := s.types[declared.Udt.Name].UdtErrorEnumV0; enum != nil && !s.ambiguousTypes[declared.Udt.Name] {
			for _, c := range enum.Cases {
				if uint32(c.Value) == code {
					return c.Name, true
				}
			}
		}
	}
	return s.ErrorName(code)
}

// ErrorCode returns the code that the contract declares for an error's name.
// It reports false when there is none, or when error enums disagree.
func (s *Spec) ErrorCode(name string) (code uint32, ok bool) {
	for _, entry := range s.entries {
		if entry.UdtErrorEnumV0 == nil {
			continue
		}
		for _, c := range entry.UdtErrorEnumV0.Cases {
			if c.Name != name {
				continue
			}
			if ok && code != uint32(c.Value) {
				return 0, false
			}
			code, ok = uint32(c.Value), true
		}
	}
	return code, ok
}

// udt finds the declaration that a type refers to.
func (s *Spec) udt(name string, at *path) (xdr.ScSpecEntry, error) {
	entry, ok := s.types[name]
	if !ok {
		return entry, at.fail(name, "the contract does not declare the type")
	}
	if s.ambiguousTypes[name] {
		return entry, at.fail(name, "the contract declares the type twice, differently")
	}
	return entry, nil
}
