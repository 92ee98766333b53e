// Package groupcommit turns concurrent operations into few commits: whatever
// waits while one batch commits forms the next. A lone caller never waits for
// others: it pays for one commit and no more. With Config.Gather those who share
// commits may wait a moment for each other.
//
// What is guaranteed:
//
//   - Every accepted operation is part of exactly one batch, in the order in
//     which operations were accepted, whether or not its caller still waits.
//   - Do returns nil only after the commit of its batch returned nil. Whatever
//     the commit wrote into the operation is then visible to the caller.
//   - At most Config.MaxPending operations are waiting or being committed;
//     further callers wait for room for as long as their context lasts.
//   - A commit that panics, or ends its goroutine, fails its own batch only.
//   - New starts nothing. A goroutine lives while there is work, and ends with
//     it.
//
// NewLanes keeps operations apart that must not share a commit; each lane is
// grouped by itself, and the lanes share the writers.
//
// What is not: a batch may hold any mix of operations, two on one key among
// them; the commit function decides what that means. The error of a batch
// says nothing about whether it took effect.
package groupcommit
