package soroban

import "github.com/onceward/onceward"

// StepName names a kind of Step.
type StepName string

const (
	// StepSubmission is the whole of Submit, or of a Reconcile that has
	// something to find out.
	StepSubmission StepName = "submission"
	// StepAttempt follows one stored envelope to its verdict.
	StepAttempt StepName = "attempt"
)

// Step is a part of a submission that Config.Observe is told of.
type Step struct {
	Name      StepName
	Operation onceward.ID
	Kind      string
	// Attempt and TxHash of the envelope, for a StepAttempt.
	Attempt int
	TxHash  string
}
