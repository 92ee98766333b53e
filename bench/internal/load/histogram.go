package load

import (
	"math/bits"
	"time"
)

// subBits sets the precision: every power of two is cut into 2^subBits parts,
// so that a value is known to within 1/128 of itself.
const subBits = 7

// Histogram counts durations in buckets whose width grows with the duration.
// Its memory does not depend on how many it counts. The zero value is empty.
type Histogram struct {
	counts [(64 - subBits) << subBits]int64
	total  int64
}

// bucket of ns nanoseconds: below 2^subBits one each, above that the leading
// bits of the number.
func bucket(ns uint64) int {
	exp := bits.Len64(ns>>subBits) - 1
	if exp < 0 {
		return int(ns) //nolint:gosec // below 128
	}
	return (exp+1)<<subBits + int(ns>>exp) - 1<<subBits //nolint:gosec // the shifted part is below 256
}

// highest returns the largest value of bucket i.
func highest(i int) uint64 {
	if i < 1<<subBits {
		return uint64(i) //nolint:gosec // an index
	}
	exp := i>>subBits - 1
	lead := uint64(i&(1<<subBits-1) | 1<<subBits) //nolint:gosec // an index
	return (lead+1)<<exp - 1
}

// Add counts d; a negative one counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Count is how many durations were added.
func (h *Histogram) Count() int64 { return h.total }

// Quantile returns the smallest duration that at least the share q of all
// durations does not exceed, rounded up by less than 1 %. It is zero when
// nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := int64(q * float64(h.total))
	if float64(rank) < q*float64(h.total) {
		rank++
	}
	rank = max(rank, 1)
	seen := int64(0)
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(highest(i)) //nolint:gosec // durations were put in
		}
	}
	return 0
}
