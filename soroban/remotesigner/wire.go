package remotesigner

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	version = 1
	// maxLine bounds a request and an answer, in bytes.
	maxLine        = 1 << 10
	defaultTimeout = 5 * time.Second
)

type request struct {
	Version int    `json:"v"`
	Address string `json:"address"`
	Hash    string `json:"hash"`
}

type answer struct {
	Signature  string `json:"signature,omitempty"`
	Error      string `json:"error,omitempty"`
	Detail     string `json:"detail,omitempty"`
	RetryAfter int64  `json:"retry_after_ms,omitempty"`
}

// Words of answer.Error.
const (
	errMalformed = "malformed"
	errUnknown   = "unknown-address"
	errLimited   = "limited"
	errBusy      = "busy"
	errFailed    = "failed"
)

// readLine reads one line of JSON into v.
func readLine(r io.Reader, v any) error {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxLine), maxLine).ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) >= maxLine, errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("a line of more than %d bytes", maxLine)
	case err != nil:
		return err
	}
	return json.Unmarshal(line, v)
}

// writeLine writes v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
