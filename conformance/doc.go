// Package conformance proves the stores of this repository against package
// oncetest, with the drivers and checkers that the root module may not require.
// It holds tests only.
package conformance
