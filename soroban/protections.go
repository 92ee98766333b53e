//go:build !torture

package soroban

// What the torture campaign turns off, one at a time, to show that it would
// notice: see protections_off.go. In every other binary these are constants,
// and the code behind them is not compiled.
const (
	rebuildsOnBadSeq   = false
	trustsNotFound     = false
	freesOnTimeout     = false
	sendsBeforeStoring = false
	drawsNonces        = false
)
