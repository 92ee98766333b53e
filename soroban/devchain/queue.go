package devchain

import (
	"maps"
	"math"
	"math/big"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// The queue's rules, as stellar-core has them.
const (
	pendingDepth   = 4  // ledgers a transaction may wait
	banDepth       = 10 // ledgers that a hash stays refused
	feeMultiplier  = 10 // how much more a replacement must bid
	queueMultiples = 4  // ledgers' worth of transactions the queue holds
)

// Answers of the queue, as sendTransaction reports them.
const (
	statusPending   = "PENDING"
	statusDuplicate = "DUPLICATE"
	statusTryAgain  = "TRY_AGAIN_LATER"
	statusError     = "ERROR"
)

// waiting is the one transaction that a source account may have in the queue.
type waiting struct {
	f    *frame
	age  int
	held bool // waits elsewhere in the network: this queue must not offer it to the next ledger
	dies bool // is evicted by better bids when the next ledger closes
}

// queue holds the transactions of one kind (classic or contract), at most one for each source account.
type queue struct {
	bySource map[string]*waiting
	fees     map[string]int64 // what each account would pay for all that waits
	banned   []map[xdr.Hash]bool
	capacity int
}

func newQueue(ledgerTxs int) *queue {
	q := &queue{
		bySource: map[string]*waiting{}, fees: map[string]int64{}, capacity: ledgerTxs * queueMultiples,
	}
	for range banDepth {
		q.banned = append(q.banned, map[xdr.Hash]bool{})
	}
	return q
}

// answer is what a submission is told.
type answer struct {
	status string
	result rejection // with ERROR
}

func refuse(res xdr.TransactionResult) answer { return answer{status: statusError, result: &res} }

func accountKey(id xdr.AccountId) string { return id.Address() }

func (q *queue) isBanned(h xdr.Hash) bool {
	return slices.ContainsFunc(q.banned, func(m map[xdr.Hash]bool) bool { return m[h] })
}

// involves tells whether the account is a source or fee source of anything that waits.
func (q *queue) involves(id xdr.AccountId) bool {
	k := accountKey(id)
	return q.bySource[k] != nil || q.fees[k] > 0
}

// add judges a submission in stellar-core's order: banned, malformed, duplicate, older, other pending transaction of
// the source, replacement fee, room in the queue, then validity and the payer's balance. minFee is what the queue wants
// for an operation at least; a transaction that replaces another has its place already.
func (q *queue) add(r state.Reader, f *frame, at moment, minFee int64) (*waiting, answer) {
	if q.isBanned(f.hash) {
		return nil, answer{status: statusTryAgain}
	}
	if f.fullFee() < 0 || f.inclusionFee() < 0 || f.isSoroban() && f.soroban() == nil || f.resourceFee() < 0 {
		return nil, refuse(outerResult(xdr.TransactionResultCodeTxMalformed, 0))
	}
	current := q.bySource[accountKey(f.source())]
	if current != nil {
		if res, done := q.against(current.f, f); done {
			return nil, res
		}
	}
	if current == nil && compareProducts(f.inclusionFee(), 1, minFee, f.feeOps()) < 0 {
		q.ban(f.hash)
		return nil, refuse(outerResult(xdr.TransactionResultCodeTxInsufficientFee, minFee*f.feeOps()+f.resourceFee()))
	}
	evict, ok := q.room(f, current)
	if !ok {
		q.ban(f.hash)
		return nil, refuse(outerResult(xdr.TransactionResultCodeTxInsufficientFee, q.entranceFee(f)))
	}
	if res := validate(r, f, at); res != nil {
		return nil, answer{status: statusError, result: res}
	}
	if !q.affordable(r, f, current) {
		return nil, refuse(f.result(xdr.TransactionResultCodeTxInsufficientBalance, f.charge(), nil))
	}
	if evict != nil {
		q.ban(evict.f.hash)
		q.drop(evict.f)
	}
	w := &waiting{f: f}
	if current != nil {
		w.age = current.age // a replacement does not live longer
		q.drop(current.f)
	}
	q.bySource[accountKey(f.source())] = w
	q.fees[accountKey(f.feeSource())] += f.fullFee()
	return w, answer{status: statusPending}
}

// against compares a submission with the transaction of the same source that waits already.
func (q *queue) against(old, f *frame) (answer, bool) {
	duplicate := old.hash == f.hash || old.feeBump != nil && f.feeBump == nil && old.inner == f.hash
	switch {
	case duplicate:
		return answer{status: statusDuplicate}, true
	case f.seq() < old.seq():
		return refuse(f.result(xdr.TransactionResultCodeTxBadSeq, 0, nil)), true
	case f.isSoroban() && !validResources(f):
		return refuse(f.result(xdr.TransactionResultCodeTxSorobanInvalid, 0, nil)), true
	case f.feeBump == nil || f.seq() != old.seq():
		return answer{status: statusTryAgain}, true
	case compareProducts(f.inclusionFee(), old.feeOps(), old.inclusionFee(), feeMultiplier*f.feeOps()) < 0:
		return refuse(outerResult(xdr.TransactionResultCodeTxInsufficientFee, replacementFee(old, f))), true
	}
	return answer{}, false
}

// replacementFee is the full fee with which f could take old's place.
func replacementFee(old, f *frame) int64 {
	n := big.NewInt(feeMultiplier * f.feeOps())
	n.Mul(n, big.NewInt(old.inclusionFee()))
	n.Add(n, big.NewInt(old.feeOps()-1))
	n.Div(n, big.NewInt(old.feeOps()))
	n.Add(n, big.NewInt(f.resourceFee()))
	if !n.IsInt64() {
		return math.MaxInt64
	}
	return n.Int64()
}

// room finds what must leave for f to fit; false if everything that waits bids as much.
func (q *queue) room(f *frame, replaced *waiting) (*waiting, bool) {
	if replaced != nil || len(q.bySource) < q.capacity {
		return nil, true
	}
	cheapest := q.cheapest()
	if compareProducts(cheapest.f.inclusionFee(), f.feeOps(), f.inclusionFee(), cheapest.f.feeOps()) >= 0 {
		return nil, false
	}
	return cheapest, true
}

func (q *queue) cheapest() *waiting {
	return slices.MinFunc(slices.Collect(maps.Values(q.bySource)), func(a, b *waiting) int {
		if a.f.cheaperThan(b.f) {
			return -1
		}
		return 1
	})
}

// entranceFee is the fee with which f would be let in.
func (q *queue) entranceFee(f *frame) int64 {
	c := q.cheapest().f
	return c.inclusionFee()/c.feeOps()*f.feeOps() + 1 + f.resourceFee()
}

// affordable tells whether the payer could pay for everything of its that would wait.
func (q *queue) affordable(r state.Reader, f *frame, replaced *waiting) bool {
	payer := account(r, f.feeSource())
	if payer == nil {
		return false
	}
	others := q.fees[accountKey(f.feeSource())]
	if replaced != nil && accountKey(replaced.f.feeSource()) == accountKey(f.feeSource()) {
		others -= replaced.f.fullFee()
	}
	return spendable(payer)-f.fullFee() >= others
}

func (q *queue) ban(h xdr.Hash) { q.banned[0][h] = true }

// drop removes f from the queue and gives back its claim on the payer's balance.
func (q *queue) drop(f *frame) {
	if w := q.bySource[accountKey(f.source())]; w == nil || w.f != f {
		return
	}
	delete(q.bySource, accountKey(f.source()))
	payer := accountKey(f.feeSource())
	if q.fees[payer] -= f.fullFee(); q.fees[payer] <= 0 {
		delete(q.fees, payer)
	}
}

// candidates are the transactions that may be offered to the next ledger.
func (q *queue) candidates() []*frame {
	var out []*frame
	for _, w := range q.bySource {
		if !w.held {
			out = append(out, w.f)
		}
	}
	return out
}

// closed brings the queue up to date after a ledger: what was applied leaves and is banned, bans and waiting
// transactions age, and what can no longer be valid in the next ledger is banned as well.
func (q *queue) closed(applied []*frame, r state.Reader, next moment) {
	for _, f := range applied {
		if w := q.bySource[accountKey(f.source())]; w != nil && w.f.seq() <= f.seq() {
			q.drop(w.f)
		}
		q.ban(f.hash)
	}
	q.banned = slices.Insert(q.banned[:banDepth-1], 0, map[xdr.Hash]bool{})
	for _, k := range slices.Sorted(maps.Keys(q.bySource)) {
		w := q.bySource[k]
		if w.age++; w.age >= pendingDepth || validate(r, w.f, next) != nil {
			q.ban(w.f.hash)
			q.drop(w.f)
		}
	}
}

// evict bans and removes the waiting transactions that were marked to lose their place.
func (q *queue) evict() {
	for _, k := range slices.Sorted(maps.Keys(q.bySource)) {
		if w := q.bySource[k]; w.dies {
			q.ban(w.f.hash)
			q.drop(w.f)
		}
	}
}
