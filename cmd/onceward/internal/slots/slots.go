// Package slots reads and writes which slots of keys a database keeps, such as
// 0-31 or 0-15,40. What a slot is, package postgres says.
package slots

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Count is how many slots there are: 0 to Count-1.
const Count = 64

// Pattern is the form of a list of slots.
const Pattern = `^[0-9]{1,2}(-[0-9]{1,2})?(,[0-9]{1,2}(-[0-9]{1,2})?)*$`

var form = regexp.MustCompile(Pattern)

// Parse reads a list of slots, each at most once, and returns them sorted.
func Parse(text string) ([]int, error) {
	if !form.MatchString(text) {
		return nil, fmt.Errorf("%q is no list of slots; write 0-31, or 0-15,40", text)
	}
	var all []int
	seen := make(map[int]bool)
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, _ := strconv.Atoi(from) // the form admits only digits
		last := first
		if isRange {
			last, _ = strconv.Atoi(to)
		}
		if last < first || last >= Count {
			return nil, fmt.Errorf("%q are no slots; they go from 0 to %d, the lower one first", part, Count-1)
		}
		for slot := first; slot <= last; slot++ {
			if seen[slot] {
				return nil, fmt.Errorf("slot %d is named twice in %q", slot, text)
			}
			seen[slot] = true
			all = append(all, slot)
		}
	}
	slices.Sort(all)
	return all, nil
}

// Format writes sorted slots as Parse reads them.
func Format(all []int) string {
	var parts []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		part := strconv.Itoa(all[i])
		if j > i {
			part += "-" + strconv.Itoa(all[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}
