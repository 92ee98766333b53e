package contractspec

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

const (
	// MaxWasmBytes bounds the wasm that Parse reads. The public network
	// accepts contracts of 128 KiB.
	MaxWasmBytes = 1 << 20

	specSection = "contractspecv0"
	metaSection = "contractenvmetav0"

	// envProtocol is the protocol that Encode declares the contract built for.
	envProtocol = 22

	customSectionID = 0
	maxLEB128Bytes  = 5

	// maxSpecDepth bounds the nesting of a declared type, maxEntryMemory the
	// memory that one decoded entry may take, in bytes.
	maxSpecDepth   = 200
	maxEntryMemory = 32 << 20
)

// wasmHeader is the magic number followed by version 1.
var wasmHeader = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// customSection joins the contents of all custom sections called name, in
// order: a linker may leave a contract's entries in several. found tells an
// absent section from an empty one.
func customSection(wasm []byte, name string) (content []byte, found bool, err error) {
	if len(wasm) > MaxWasmBytes {
		return nil, false, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(wasm), MaxWasmBytes)
	}
	rest, ok := bytes.CutPrefix(wasm, wasmHeader)
	if !ok {
		return nil, false, fmt.Errorf("%w: not a version 1 wasm module", ErrMalformed)
	}
	for len(rest) > 0 {
		id := rest[0]
		var section []byte
		if section, rest, err = cutSized(rest[1:]); err != nil {
			return nil, false, err
		}
		if id != customSectionID {
			continue
		}
		sectionName, body, err := cutSized(section)
		if err != nil {
			return nil, false, err
		}
		if string(sectionName) == name {
			content, found = append(content, body...), true
		}
	}
	return content, found, nil
}

// cutSized splits in after its leading size and that many bytes.
func cutSized(in []byte) (head, tail []byte, err error) {
	size, n := uvarint32(in)
	if n == 0 || int64(size) > int64(len(in)-n) {
		return nil, nil, fmt.Errorf("%w: a section runs past the end of the module", ErrMalformed)
	}
	return in[n : n+int(size)], in[n+int(size):], nil
}

// uvarint32 reads an unsigned LEB128 number of at most 32 bits and the length
// of its encoding, zero if there is none.
func uvarint32(in []byte) (value uint32, length int) {
	v, n := binary.Uvarint(in[:min(len(in), maxLEB128Bytes)])
	if n <= 0 || v > 1<<32-1 {
		return 0, 0
	}
	return uint32(v), n
}

// decodeEntries reads a stream of entries up to its end.
func decodeEntries(stream []byte) ([]xdr.ScSpecEntry, error) {
	var entries []xdr.ScSpecEntry
	for len(stream) > 0 {
		var entry xdr.ScSpecEntry
		n, err := xdr.UnmarshalWithOptions(bytes.NewReader(stream), &entry, xdr.DecodeOptions{
			MaxDepth:       maxSpecDepth,
			MaxInputLen:    len(stream),
			MaxMemoryBytes: maxEntryMemory,
		})
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d of %s: %w", ErrMalformed, len(entries), specSection, err)
		}
		entries = append(entries, entry)
		stream = stream[n:]
	}
	return entries, nil
}

// Encode builds the smallest wasm module that declares entries: it has no code,
// only the custom sections from which clients read a contract's interface.
// It fails for entries that no decoder would accept.
func Encode(entries []xdr.ScSpecEntry) ([]byte, error) {
	var stream []byte
	for i := range entries {
		encoded, err := encodeEntry(entries[i])
		if err != nil {
			return nil, fmt.Errorf("contractspec: encode entry %d: %w", i, err)
		}
		stream = append(stream, encoded...)
	}
	// The XDR encoder does not enforce the limits of names and docs; the decoder does.
	if _, err := decodeEntries(stream); err != nil {
		return nil, fmt.Errorf("contractspec: encode: %w", err)
	}
	meta, err := xdr.ScEnvMetaEntry{
		Kind:             xdr.ScEnvMetaKindScEnvMetaKindInterfaceVersion,
		InterfaceVersion: &xdr.ScEnvMetaEntryInterfaceVersion{Protocol: envProtocol},
	}.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("contractspec: encode %s: %w", metaSection, err)
	}
	wasm := bytes.Clone(wasmHeader)
	wasm = appendCustomSection(wasm, metaSection, meta)
	wasm = appendCustomSection(wasm, specSection, stream)
	if len(wasm) > MaxWasmBytes {
		return nil, fmt.Errorf("contractspec: encode: %d bytes, the limit is %d", len(wasm), MaxWasmBytes)
	}
	return wasm, nil
}

// encodeEntry marshals one entry. The generated encoder dereferences the arm
// that the kind names; an entry built without it becomes an error here.
func encodeEntry(entry xdr.ScSpecEntry) (encoded []byte, err error) {
	defer func() {
		if recover() != nil {
			encoded, err = nil, fmt.Errorf("%w: a union's arm is not set", ErrMalformed)
		}
	}()
	return entry.MarshalBinary()
}

func appendCustomSection(wasm []byte, name string, body []byte) []byte {
	section := binary.AppendUvarint(nil, uint64(len(name)))
	section = append(append(section, name...), body...)
	wasm = binary.AppendUvarint(append(wasm, customSectionID), uint64(len(section)))
	return append(wasm, section...)
}
