package devchain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// FaultKind names something that goes wrong on purpose.
type FaultKind string

// Faults of the connection. They strike any method.
const (
	// LoseRequest cuts the connection; nothing was done.
	LoseRequest FaultKind = "lose-request"
	// LoseResponse does what was asked, then cuts the connection instead of answering.
	LoseResponse FaultKind = "lose-response"
	// Unavailable answers HTTP 503; nothing was done.
	Unavailable FaultKind = "http-503"
	// GatewayTimeout does what was asked, then answers HTTP 504.
	GatewayTimeout FaultKind = "http-504"
	// RPCError answers with JSON-RPC error -32603; nothing was done.
	RPCError FaultKind = "rpc-error"
	// Hang does what was asked, then never answers: it waits until the client gives up or the chain is closed.
	Hang FaultKind = "hang"
)

// Faults of what a node knows. Ledgers says how far it is behind, default 1, at most 128.
const (
	// StaleReplica lets a node answer, and judge submissions, that is behind: its latest ledger is an old one.
	StaleReplica FaultKind = "stale-replica"
	// DelayIngestion keeps the RPC behind its own core: answers are old, but submissions meet the newest ledger.
	DelayIngestion FaultKind = "delay-ingestion"
	// LookupRace makes getTransaction search an old state and then report the newest ledger as the latest.
	LookupRace FaultKind = "lookup-race"
	// TrimHistory makes transactions and events older than the last Ledgers ledgers unknown.
	TrimHistory FaultKind = "trim-history"
)

// Faults of the network's state.
const (
	// SurgePricing refuses submissions that bid less than Fee stroops for an operation, with txINSUFFICIENT_FEE and
	// the fee that is needed, and bans them for ten ledgers, as a full queue does. Default fee: 100,000.
	SurgePricing FaultKind = "surge-pricing"
	// NeedRestore makes simulations answer like servers that leave archived entries to a RestoreFootprint operation:
	// with a restorePreamble, instead of letting the transaction restore them itself.
	NeedRestore FaultKind = "need-restore"
	// ResetNetwork throws the network away before the call is served, and starts a new one. See Chain.Reset.
	ResetNetwork FaultKind = "reset"
)

// Faults of the network, which strike a transaction that sendTransaction answers PENDING.
const (
	// DropTransaction forgets it.
	DropTransaction FaultKind = "drop-transaction"
	// EvictTransaction lets better bids push it out when the next ledger closes: it is banned for ten ledgers.
	EvictTransaction FaultKind = "evict-transaction"
	// IncludeLate applies it in the last ledger that its maxLedger allows (or in six ledgers, without one), whatever
	// this node's queue has done with it meanwhile.
	IncludeLate FaultKind = "include-late"
)

// faultKinds says for which method a kind makes sense; "" is any.
var faultKinds = map[FaultKind]string{
	LoseRequest: "", LoseResponse: "", Unavailable: "", GatewayTimeout: "", RPCError: "", Hang: "",
	StaleReplica: "", DelayIngestion: "", TrimHistory: "",
	LookupRace:   methodGetTransaction,
	SurgePricing: methodSendTransaction, NeedRestore: methodSimulateTransaction, ResetNetwork: "",
	DropTransaction: methodSendTransaction, EvictTransaction: methodSendTransaction, IncludeLate: methodSendTransaction,
}

// Fault goes wrong in calls of one method.
type Fault struct {
	Method  string // which calls; "" is every call
	Kind    FaultKind
	Times   int    // how many calls; 0 is every one until ClearFaults
	Skip    int    // calls to leave alone first
	Ledgers uint32 // how far back, for the kinds that look back
	Fee     int64  // stroops for an operation, for SurgePricing
}

// String is the form that ParseFault reads.
func (f Fault) String() string {
	times := "always"
	if f.Times > 0 {
		times = strconv.Itoa(f.Times)
	}
	out := fmt.Sprintf("%s:%s:%s", orStar(f.Method), f.Kind, times)
	if n := max(int64(f.Ledgers), f.Fee); n > 0 {
		out += ":" + strconv.FormatInt(n, 10)
	}
	return out
}

func orStar(method string) string {
	if method == "" {
		return "*"
	}
	return method
}

// ParseFault reads "method:kind", "method:kind:times" or "method:kind:times:ledgers" (for SurgePricing the last number is
// the fee), where the method may be "*" and the times "always". Without times the fault strikes once.
func ParseFault(s string) (Fault, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 4 {
		return Fault{}, fmt.Errorf("devchain: fault %q: want method:kind[:times[:ledgers]]", s)
	}
	f := Fault{Method: parts[0], Kind: FaultKind(parts[1]), Times: 1}
	if f.Method == "*" {
		f.Method = ""
	}
	if len(parts) > 2 && parts[2] == "always" {
		f.Times = 0
	} else if len(parts) > 2 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return Fault{}, fmt.Errorf("devchain: fault %q: times must be a number from 1 or \"always\"", s)
		}
		f.Times = n
	}
	if len(parts) > 3 {
		n, err := strconv.ParseUint(parts[3], 10, 32)
		if err != nil {
			return Fault{}, fmt.Errorf("devchain: fault %q: the last part must be a number", s)
		}
		if f.Kind == SurgePricing {
			f.Fee = int64(n)
		} else {
			f.Ledgers = uint32(n)
		}
	}
	return f.normal()
}

// normal fills in what the kind implies and refuses what cannot strike.
func (f Fault) normal() (Fault, error) {
	only, known := faultKinds[f.Kind]
	switch {
	case !known:
		return f, fmt.Errorf("devchain: unknown fault %q", f.Kind)
	case f.Method != "" && !slices.Contains(methods, f.Method):
		return f, fmt.Errorf("devchain: fault for unknown method %q", f.Method)
	case only != "" && f.Method != "" && f.Method != only:
		return f, fmt.Errorf("devchain: fault %s strikes only %s", f.Kind, only)
	case f.Times < 0 || f.Skip < 0:
		return f, fmt.Errorf("devchain: fault %s: Times and Skip must not be negative", f.Kind)
	case f.Fee < 0 || f.Fee > maxSurgeFee || f.Fee > 0 && f.Kind != SurgePricing:
		return f, fmt.Errorf("devchain: fault %s: a fee is for %s only, and at most %d", f.Kind, SurgePricing, maxSurgeFee)
	case f.Ledgers > historyDepth:
		return f, fmt.Errorf("devchain: fault %s: at most %d ledgers back", f.Kind, historyDepth)
	}
	if only != "" {
		f.Method = only
	}
	if f.Ledgers == 0 && slices.Contains([]FaultKind{StaleReplica, DelayIngestion, LookupRace, TrimHistory}, f.Kind) {
		f.Ledgers = 1
	}
	if f.Kind == SurgePricing {
		f.Fee = cmp.Or(f.Fee, 100_000)
	}
	return f, nil
}

// maxSurgeFee is the most that SurgePricing can demand for an operation, in stroops.
const maxSurgeFee = int64(1) << 40

type faults struct {
	mu     sync.Mutex
	active []*Fault
	struck map[FaultKind]int
}

func newFaults() *faults { return &faults{struck: map[FaultKind]int{}} }

// Inject adds a fault to those in force. Several that match one call strike it together.
func (c *Chain) Inject(f Fault) error {
	f, err := f.normal()
	if err != nil {
		return err
	}
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = append(c.faults.active, &f)
	return nil
}

// ClearFaults ends all faults.
func (c *Chain) ClearFaults() {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	c.faults.active = nil
}

// Faults lists what is in force, with the calls that are left.
func (c *Chain) Faults() []Fault {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	out := make([]Fault, len(c.faults.active))
	for i, f := range c.faults.active {
		out[i] = *f
	}
	return out
}

// FaultsStruck counts the calls that faults of a kind have struck.
func (c *Chain) FaultsStruck(kind FaultKind) int {
	c.faults.mu.Lock()
	defer c.faults.mu.Unlock()
	return c.faults.struck[kind]
}

// effects are the faults that strike one call: kind → ledgers, or the fee.
type effects map[FaultKind]int64

// ledgers is how far back a fault of the kind looks; 0 without one.
func (e effects) ledgers(k FaultKind) uint32 { return uint32(e[k]) } //nolint:gosec // at most historyDepth

func (e effects) has(k FaultKind) bool {
	_, ok := e[k]
	return ok
}

// strike uses up one call of every fault that matches.
func (fs *faults) strike(method string) effects {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := effects{}
	fs.active = slices.DeleteFunc(fs.active, func(f *Fault) bool {
		if f.Method != "" && f.Method != method {
			return false
		}
		if f.Skip > 0 {
			f.Skip--
			return false
		}
		if !out.has(f.Kind) {
			fs.struck[f.Kind]++
		}
		out[f.Kind] = max(out[f.Kind], int64(f.Ledgers), f.Fee)
		if f.Times == 0 {
			return false
		}
		f.Times--
		return f.Times == 0
	})
	return out
}
