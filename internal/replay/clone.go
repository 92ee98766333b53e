package replay

import (
	"bytes"
	"maps"
	"slices"

	"github.com/onceward/onceward"
)

// Clone copies everything that a caller might change.
func Clone(r *onceward.Record) onceward.Record {
	c := *r
	c.Fingerprint, c.Detail = bytes.Clone(r.Fingerprint), bytes.Clone(r.Detail)
	c.Checkpoints = slices.Clone(r.Checkpoints)
	for i := range c.Checkpoints {
		c.Checkpoints[i].Data = bytes.Clone(c.Checkpoints[i].Data)
	}
	if r.Response != nil {
		resp := *r.Response
		resp.Body, resp.Header = bytes.Clone(resp.Body), maps.Clone(resp.Header)
		for name, values := range resp.Header {
			resp.Header[name] = slices.Clone(values)
		}
		c.Response = &resp
	}
	return c
}
