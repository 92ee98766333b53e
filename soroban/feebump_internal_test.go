package soroban

import "testing"

// What a fee bump offers, in stroops: at least ten times as much for an
// operation, never more than the limit, and nothing that cannot help.
func TestRaised(t *testing.T) {
	t.Parallel()
	plain, bumped := bid{fee: 1_100, resource: 100, ops: 1}, bid{fee: 20_100, resource: 100, ops: bumpOps}
	for _, c := range []struct {
		bid                 bid
		needed, limit, want int64
	}{
		{plain, 0, 1 << 40, 20_100},         // twenty times, for it counts one operation more
		{plain, 5_100, 1 << 40, 20_100},     // asked for less than that
		{plain, 50_100, 1 << 40, 100_100},   // asked for more
		{plain, 1 << 60, 1 << 40, 0},        // asked for what nobody pays
		{plain, 0, 20_099, 20_099},          // nearly ten times is worth a try
		{plain, 0, 2_101, 2_101},            // so is one stroop more
		{plain, 0, 2_100, 0},                // the same again is not
		{plain, 5_100, 10_100, 10_100},      // exactly what is asked for
		{plain, 5_100, 10_099, 0},           // and one stroop less
		{bumped, 0, 1 << 40, 200_100},       // ten times
		{bumped, 900_100, 1 << 40, 900_100}, // asked for the bump itself
		{bumped, 0, 20_100, 0},              // the limit is reached
		{bid{}, 0, 1 << 40, 0},              // a record of before there were bumps
		{bid{fee: 100, resource: 100, ops: 1}, 0, 1 << 40, 0},
		{bid{fee: 1 << 60, ops: 1}, 0, 1 << 62, 0},
	} {
		if got := c.bid.raised(c.needed, c.limit); got != c.want {
			t.Errorf("%+v, asked for %d, at most %d: %d, want %d", c.bid, c.needed, c.limit, got, c.want)
		}
	}
}
