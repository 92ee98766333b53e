package soroban

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// Budget is how much may be used up in a window of time: signatures, stroops
// of fees, or the sum of an argument. It is safe for concurrent use, and one
// Budget of the same name and store in each of several processes is one budget
// for all of them.
//
// A process takes shares of it, sixteen in all, by claiming a record for each;
// what it then spends of a share costs no store traffic. A share is never
// given back: when a process dies, the rest of its share is lost for the
// window. So the limit is never exceeded, but with many processes, or after
// crashes, it may be reached early, by at most a share for each of them.
//
// Windows begin at multiples of their length since 1970, in UTC. Around the
// border between two, twice the limit may be used within one length.
type Budget struct {
	cfg   BudgetConfig
	share *big.Int

	mu      sync.Mutex
	window  int64    // the one that left and claimed are about
	left    *big.Int // of the shares that are ours
	claimed int64    // shares that were tried, ours or others'
}

// BudgetConfig of a Budget. Name, Limit and Window are required.
type BudgetConfig struct {
	// Name distinguishes budgets in one store; 1 to 128 bytes.
	Name string
	// Limit for each window, in units of the caller's choice.
	Limit *big.Int
	// Window is how long the limit is for, at least a second.
	Window time.Duration
	// Store makes it durable over restarts, and common to all processes. Nil
	// counts in this process alone, and starts anew with it.
	Store onceward.Store
	// CallTimeout bounds one call of the store. Default 10 s.
	CallTimeout time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	maxShares      = 16
	maxBudgetName  = 128
	budgetKind     = "onceward/budget"
	budgetScope    = onceward.ReservedScope + "budget"
	budgetKeepLate = time.Hour // records outlast their window by clock differences
)

// NewBudget returns a Budget.
func NewBudget(cfg BudgetConfig) (*Budget, error) {
	cfg.CallTimeout = cmp.Or(cfg.CallTimeout, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Name == "" || len(cfg.Name) > maxBudgetName:
		return nil, fmt.Errorf("soroban: a budget's name has 1 to %d bytes", maxBudgetName)
	case cfg.Limit == nil || cfg.Limit.Sign() <= 0:
		return nil, fmt.Errorf("soroban: the limit of budget %q must be positive", cfg.Name)
	case cfg.Window < time.Second:
		return nil, fmt.Errorf("soroban: the window of budget %q must be a second or more", cfg.Name)
	case cfg.CallTimeout < 0:
		return nil, fmt.Errorf("soroban: the timeout of budget %q is negative", cfg.Name)
	}
	b := &Budget{cfg: cfg, window: -1}
	b.share = new(big.Int).Div(cfg.Limit, big.NewInt(b.shares()))
	return b, nil
}

// shares is into how many parts the limit is divided.
func (b *Budget) shares() int64 {
	if b.cfg.Limit.IsInt64() {
		return min(maxShares, b.cfg.Limit.Int64())
	}
	return maxShares
}

// shareOf is the size of share i; the last one holds the remainder.
func (b *Budget) shareOf(i int64) *big.Int {
	if n := b.shares(); i == n-1 {
		return new(big.Int).Sub(b.cfg.Limit, new(big.Int).Mul(b.share, big.NewInt(n-1)))
	}
	return b.share
}

// LimitError means that a Budget is used up. Nothing was done.
type LimitError struct {
	// Name of the budget.
	Name string
	// RetryAfter is when the next window begins.
	RetryAfter time.Duration
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("soroban: the limit %q is reached; more after %v", e.Name, e.RetryAfter.Round(time.Second))
}

// Take uses n of the budget, or none of it and returns a *LimitError, or
// another error when the store does not answer. A negative n counts as its
// opposite.
func (b *Budget) Take(ctx context.Context, n *big.Int) error {
	need := new(big.Int).Abs(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	if window := now.UnixNano() / int64(b.cfg.Window); window != b.window {
		b.window, b.left, b.claimed = window, new(big.Int), 0
	}
	for b.left.Cmp(need) < 0 {
		if b.claimed >= b.shares() {
			end := time.Unix(0, (b.window+1)*int64(b.cfg.Window))
			return &LimitError{Name: b.cfg.Name, RetryAfter: max(end.Sub(now), time.Second)}
		}
		won, err := b.claim(ctx, b.claimed, now)
		if err != nil {
			return err
		}
		if won {
			b.left.Add(b.left, b.shareOf(b.claimed))
		}
		b.claimed++
	}
	b.left.Sub(b.left, need)
	return nil
}

// Return gives back what was taken and not used. In a later window it is
// forgotten.
func (b *Budget) Return(n *big.Int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cfg.Now().UnixNano()/int64(b.cfg.Window) == b.window {
		b.left.Add(b.left, new(big.Int).Abs(n))
	}
}

// claim takes a share for this process. A claim of which nobody knows whether
// it was won counts as lost.
func (b *Budget) claim(ctx context.Context, share int64, now time.Time) (bool, error) {
	if b.cfg.Store == nil {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.cfg.CallTimeout)
	defer cancel()
	end := time.Unix(0, (b.window+1)*int64(b.cfg.Window)).Add(budgetKeepLate)
	res, err := b.cfg.Store.Claim(ctx, onceward.ClaimRequest{
		Key: onceward.Key{
			Scope: budgetScope,
			Value: b.cfg.Name + " " + b.cfg.Limit.String() + "/" + b.cfg.Window.String() + " " +
				strconv.FormatInt(b.window, 10) + " " + strconv.FormatInt(share, 10),
		},
		Owner: onceward.NewOwner(), Token: now.UnixMicro(), Kind: budgetKind, Policy: onceward.Rerun,
		Fingerprint: []byte(budgetKind), Retention: budgetKeepLate, Now: now, LeaseUntil: end, ExpiresAt: end,
	})
	if err != nil {
		b.claimed++
		return false, fmt.Errorf("soroban: limit %q: the store does not answer: %w", b.cfg.Name, err)
	}
	return res.Won, nil
}

// LimitedSigner signs with s for as long as every budget has one left for the
// signature. Its error is then a *LimitError, and nothing is signed.
func LimitedSigner(s Signer, budgets ...*Budget) Signer { return limitedSigner{s, budgets} }

type limitedSigner struct {
	Signer
	budgets []*Budget
}

var one = big.NewInt(1)

// Sign implements Signer.
func (s limitedSigner) Sign(ctx context.Context, hash [32]byte) ([]byte, error) {
	if err := TakeAll(ctx, one, s.budgets...); err != nil {
		return nil, err
	}
	return s.Signer.Sign(ctx, hash)
}

// String names the account.
func (s limitedSigner) String() string { return s.Address() }

// TakeAll takes n of every budget, or of none.
func TakeAll(ctx context.Context, n *big.Int, budgets ...*Budget) error {
	for i, b := range budgets {
		if err := b.Take(ctx, n); err != nil {
			for _, taken := range budgets[:i] {
				taken.Return(n)
			}
			return err
		}
	}
	return nil
}

// afford books the fee of a draft, and holds the first one of a relayed call
// against its limit. A later one follows an authorization that was seen, so
// that refusing it would not undo anything.
func (s *Submitter) afford(ctx context.Context, d *draft, fee int64) error {
	if limit := d.plan.maxFee; limit != 0 && fee > limit && d.prior == nil {
		return refuse(RelayFee, "the call may cost %d stroops; at most %d are relayed", fee, limit)
	}
	return s.spend(ctx, fee)
}

// spend books the fee of an envelope before that is signed.
func (s *Submitter) spend(ctx context.Context, fee int64) error {
	if s.cfg.FeeBudget == nil {
		return nil
	}
	err := s.cfg.FeeBudget.Take(ctx, big.NewInt(fee))
	if e, ok := errors.AsType[*LimitError](err); ok {
		return &UnavailableError{Reason: "the limit " + strconv.Quote(e.Name) + " of fees is reached", RetryAfter: e.RetryAfter}
	}
	if err != nil {
		return &UnavailableError{Reason: "the limit of fees cannot be read", RetryAfter: s.cfg.PollInterval, Err: err}
	}
	return nil
}
