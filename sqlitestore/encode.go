package sqlitestore

import (
	"fmt"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

// micros is how a time is stored. Cutting every time off at the microsecond,
// the caller's Now included, keeps their order: a store of whole microseconds
// and one of nanoseconds differ only about moments within one microsecond.
func micros(t time.Time) int64 { return t.UnixMicro() }

func moment(us int64) time.Time { return time.UnixMicro(us).UTC() }

// cut is what comes back for t once it was stored.
func cut(t time.Time) time.Time { return moment(micros(t)) }

func decodeHeader(b []byte) (map[string][]string, error) {
	h, err := codec.DecodeHeader(b)
	return h, corrupt(err)
}

func decodeCheckpoints(b []byte) ([]onceward.Checkpoint, error) {
	cps, err := codec.DecodeCheckpoints(b)
	return cps, corrupt(err)
}

func corrupt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}
