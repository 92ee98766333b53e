package replay

import (
	"maps"
	"slices"

	"github.com/onceward/onceward"
)

// Clone copies everything that a caller might change, with few allocations.
func Clone(r *onceward.Record) onceward.Record {
	c := *r
	size := len(r.Fingerprint) + len(r.Detail)
	if r.Response != nil {
		size += len(r.Response.Body)
	}
	space := make([]byte, 0, size)
	take := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		from := len(space)
		space = append(space, b...)
		return space[from:len(space):len(space)] // appending to it copies it
	}
	c.Fingerprint, c.Detail = take(r.Fingerprint), take(r.Detail)
	c.Checkpoints = slices.Clone(r.Checkpoints)
	for i := range c.Checkpoints {
		c.Checkpoints[i].Data = slices.Clone(c.Checkpoints[i].Data)
	}
	if r.Response != nil {
		resp := *r.Response
		resp.Body, resp.Header = take(resp.Body), cloneHeader(resp.Header)
		c.Response = &resp
	}
	return c
}

func cloneHeader(h map[string][]string) map[string][]string {
	out := maps.Clone(h)
	n := 0
	for _, values := range h {
		n += len(values)
	}
	space := make([]string, 0, n)
	for name, values := range h {
		from := len(space)
		space = append(space, values...)
		out[name] = space[from:len(space):len(space)]
	}
	return out
}
