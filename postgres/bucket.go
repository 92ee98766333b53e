package postgres

import (
	"github.com/onceward/onceward"
)

// Slots is how many parts the keys are divided into, for ever: a key's slot is
// six bits of the hash of its scope and value. A Router sends slots to
// databases; within one, slots share its buckets.
const Slots = 64

// Slot returns the slot of an operation, 0 to Slots-1.
func Slot(id onceward.ID) int { return int(id[len(id)-1] % Slots) }

// bucketOf returns the bucket of an operation in a table of n buckets; n is a
// power of two up to Slots.
func bucketOf(id onceward.ID, n int) int { return Slot(id) % n }

// allSlots has every slot's bit set.
const allSlots = ^uint64(0)
