package seal

import (
	"context"
	"errors"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

var errUnable = errors.New("seal: the store inside cannot do this")

// Sweep implements onceward.Sweeper.
func (s *Store) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	inner, ok := s.inner.(onceward.Sweeper)
	if !ok {
		return onceward.SweepResult{}, nil // as an engine does without one
	}
	return inner.Sweep(ctx, req)
}

// Find implements onceward.Finder.
func (s *Store) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	inner, ok := s.inner.(onceward.Finder)
	if !ok {
		return onceward.Record{}, errUnable
	}
	rec, err := inner.Find(ctx, req)
	return s.opened(ctx, rec, err)
}

// maxUnreadable bounds the records that Lapsed passes over.
const maxUnreadable = 1000

// Lapsed implements onceward.LapsedLister. A record that cannot be opened is
// logged and left out, so that it does not keep the others from recovery.
func (s *Store) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	inner, ok := s.inner.(onceward.LapsedLister)
	if !ok {
		return nil, nil // as an engine does without one
	}
	limit := req.Limit
	for {
		recs, err := inner.Lapsed(ctx, req)
		if err != nil {
			return nil, err
		}
		var out []onceward.Record
		for i := range recs {
			if err := s.openRecord(ctx, &recs[i]); err != nil {
				s.cfg.Logger.ErrorContext(ctx, "an operation cannot be recovered", "operation", recs[i].Key.ID(), "err", err)
				continue
			}
			out = append(out, recs[i])
		}
		// More of them may lie behind the unreadable ones.
		missing := limit - len(out)
		if missing <= 0 || len(recs) < req.Limit || req.Limit > limit+maxUnreadable {
			return out[:min(len(out), max(limit, 0))], nil
		}
		req.Limit += missing
	}
}

// List implements onceward.Lister. It leaves out the documents that are no
// operations. The header of an answer that cannot be opened is left out, too.
func (s *Store) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	inner, ok := s.inner.(onceward.Lister)
	if !ok {
		return onceward.ListResult{}, errUnable
	}
	var out onceward.ListResult
	limit := req.Limit
	for {
		req.Limit = limit - len(out.Records)
		page, err := inner.List(ctx, req)
		if err != nil {
			return onceward.ListResult{}, err
		}
		for i := range page.Records {
			if rec := &page.Records[i]; !shelf.IsDocument(rec) {
				s.openListed(ctx, rec)
				out.Records = append(out.Records, *rec)
			}
		}
		out.Next, req.Cursor = page.Next, page.Next
		if page.Next == "" {
			return out, nil
		}
		if len(out.Records) >= limit {
			break
		}
	}
	more, err := s.more(ctx, inner, req)
	if !more {
		out.Next = ""
	}
	return out, err
}

const peekPage = 64

// more reports whether anything but documents follows the cursor.
func (s *Store) more(ctx context.Context, inner onceward.Lister, req onceward.ListRequest) (bool, error) {
	req.Limit = peekPage
	for req.Cursor != "" {
		page, err := inner.List(ctx, req)
		if err != nil {
			return false, err
		}
		for i := range page.Records {
			if !shelf.IsDocument(&page.Records[i]) {
				return true, nil
			}
		}
		req.Cursor = page.Next
	}
	return false, nil
}

func (s *Store) openListed(ctx context.Context, rec *onceward.Record) {
	if rec.Response == nil {
		return
	}
	r := *rec.Response
	rec.Response = &r
	if err := s.openHeader(ctx, rec); err != nil {
		if !errors.Is(err, ErrDestroyed) {
			s.cfg.Logger.WarnContext(ctx, "the header of an answer cannot be opened", "operation", rec.Key.ID(), "err", err)
		}
		r.Header = nil
	}
}
