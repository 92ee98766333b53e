package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

// ErrBroken means that the log is not what was written.
var ErrBroken = errors.New("the audit log was tampered with or damaged")

// Head names an entry and its hash, as SEQ:HASH. Kept elsewhere, it proves
// later that the log up to there is still the same.
type Head struct {
	Seq  int64
	Hash string
}

// String returns the head in the form that ParseHead reads.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// ParseHead reads a head.
func ParseHead(s string) (Head, error) {
	seq, hash, ok := strings.Cut(s, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	if !ok || err != nil || n < 1 || len(hash) != 64 {
		return Head{}, errors.New("a head of the audit log has the form NUMBER:HASH, as audit verify prints it")
	}
	return Head{n, hash}, nil
}

// Verify reads the whole log and returns its head. Anchors are heads that were
// noted earlier; the log must still contain them.
func (l *Log) Verify(ctx context.Context, anchors ...Head) (Head, error) {
	var head Head
	for {
		e, err := l.Get(ctx, head.Seq+1)
		if errors.Is(err, shelf.ErrNotFound) {
			break
		}
		if err != nil {
			return head, err
		}
		if e.Prev != head.Hash {
			return head, fmt.Errorf("%w: entry %d does not follow entry %d", ErrBroken, e.Seq, head.Seq)
		}
		head = Head{e.Seq, e.Hash}
		for _, a := range anchors {
			if a.Seq == head.Seq && a.Hash != head.Hash {
				return head, fmt.Errorf("%w: entry %d is not the one that was noted", ErrBroken, a.Seq)
			}
		}
	}
	for _, a := range anchors {
		if a.Seq > head.Seq {
			return head, fmt.Errorf("%w: it ends at entry %d, and entry %d was noted", ErrBroken, head.Seq, a.Seq)
		}
	}
	newest, err := l.last(ctx)
	if err != nil {
		return head, err
	}
	if newest.Seq > head.Seq {
		if _, err := l.Get(ctx, head.Seq+1); !errors.Is(err, shelf.ErrNotFound) {
			return l.Verify(ctx, anchors...) // appended meanwhile
		}
		return head, fmt.Errorf("%w: entry %d is missing", ErrBroken, head.Seq+1)
	}
	return head, nil
}
