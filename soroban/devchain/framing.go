package devchain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A log is a sequence of frames: length and checksum of the payload, checksum of these eight bytes, payload. The
// second checksum tells a damaged length from a frame that was cut off, so that damage in the middle of the file is
// never mistaken for a torn end.
const (
	frameHeader = 12
	maxFrame    = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrCorrupt means that a ledger log is damaged in a way that a crash does not explain.
	ErrCorrupt = errors.New("devchain: the ledger log is corrupt")
	errTorn    = errors.New("torn frame")
)

func appendFrame(dst, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload))) //nolint:gosec // at most maxFrame
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, payload...)
}

// frameReader reads frames of a file of known size.
type frameReader struct {
	r    *bufio.Reader
	size int64
	at   int64 // where the next frame starts
}

// next returns a payload; io.EOF after the last frame; errTorn if the rest of the file is a frame that was not wholly
// written; ErrCorrupt for any other damage.
func (f *frameReader) next() ([]byte, error) {
	left := f.size - f.at
	if left == 0 {
		return nil, io.EOF
	}
	if left < frameHeader {
		return nil, errTorn
	}
	var head [frameHeader]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return nil, fmt.Errorf("reading ledger log: %w", err)
	}
	length := int64(binary.BigEndian.Uint32(head[:4]))
	if crc32.Checksum(head[:8], castagnoli) != binary.BigEndian.Uint32(head[8:]) || length > maxFrame {
		if f.restIsZero(head[:]) { // the file had grown, the data had not arrived
			return nil, errTorn
		}
		return nil, fmt.Errorf("%w: damaged frame header at byte %d", ErrCorrupt, f.at)
	}
	if left-frameHeader < length {
		return nil, errTorn
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(f.r, payload); err != nil {
		return nil, fmt.Errorf("reading ledger log: %w", err)
	}
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(head[4:8]) {
		if left-frameHeader == length {
			return nil, errTorn
		}
		return nil, fmt.Errorf("%w: damaged frame at byte %d", ErrCorrupt, f.at)
	}
	f.at += frameHeader + length
	return payload, nil
}

func (f *frameReader) restIsZero(head []byte) bool {
	for _, b := range head {
		if b != 0 {
			return false
		}
	}
	for {
		b, err := f.r.ReadByte()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if b != 0 {
			return false
		}
	}
}
