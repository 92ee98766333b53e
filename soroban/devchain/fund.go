package devchain

import (
	"errors"
	"fmt"

	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// friendbotBalance is what friendbot gives, in stroops.
const friendbotBalance = 10_000 * 10_000_000

// rootFee is the root account's bid, high enough never to wait.
const rootFee = 1_000_000

// ErrAccountExists is friendbot's refusal to fund an account twice.
var ErrAccountExists = errors.New("devchain: the account is funded already")

// Fund gives stroops to an account (G…), creating it if needed, and closes a ledger so that they are there on return.
// One XLM is 10,000,000 stroops; a new account needs at least that.
func (c *Chain) Fund(addr string, stroops int64) error {
	_, err := c.fund(addr, stroops, false)
	return err
}

// fund returns the transaction; mustCreate refuses accounts that exist.
func (c *Chain) fund(addr string, stroops int64, mustCreate bool) (*storedTx, error) {
	id, err := xdr.AddressToAccountId(addr)
	if err != nil {
		return nil, fmt.Errorf("devchain: %q is not an account address (G…): %w", addr, err)
	}
	if stroops <= 0 {
		return nil, errors.New("devchain: funding needs a positive amount")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var op txnbuild.Operation
	amount := fmt.Sprintf("%d.%07d", stroops/10_000_000, stroops%10_000_000)
	switch {
	case account(c.store, id) == nil:
		op = &txnbuild.CreateAccount{Destination: addr, Amount: amount}
	case mustCreate:
		return nil, ErrAccountExists
	default:
		op = &txnbuild.Payment{Destination: addr, Amount: amount, Asset: txnbuild.NativeAsset{}}
	}
	f, err := c.rootTransaction(op)
	if err != nil {
		return nil, err
	}
	if res := c.submit(f, fate{}); res.status != statusPending {
		return nil, fmt.Errorf("devchain: funding %s was answered %s", addr, res.status)
	}
	if _, err := c.closeLedger(); err != nil {
		return nil, err
	}
	tx := c.txs[f.hash]
	if tx == nil || !tx.success {
		return nil, fmt.Errorf("devchain: funding %s with %d stroops failed; a new account needs at least 1 XLM", addr, stroops)
	}
	return tx, nil
}

func (c *Chain) rootTransaction(op txnbuild.Operation) (*frame, error) {
	id, err := xdr.AddressToAccountId(c.root.Address())
	if err != nil {
		return nil, fmt.Errorf("devchain: root account: %w", err)
	}
	tx, err := txnbuild.NewTransaction(txnbuild.TransactionParams{
		SourceAccount:        new(txnbuild.NewSimpleAccount(c.root.Address(), int64(account(c.store, id).SeqNum))),
		IncrementSequenceNum: true,
		Operations:           []txnbuild.Operation{op},
		BaseFee:              rootFee,
		Preconditions:        txnbuild.Preconditions{TimeBounds: txnbuild.NewInfiniteTimeout()},
	})
	if err != nil {
		return nil, fmt.Errorf("devchain: funding transaction: %w", err)
	}
	if tx, err = tx.Sign(c.cfg.Passphrase, c.root); err != nil {
		return nil, fmt.Errorf("devchain: funding transaction: %w", err)
	}
	return newFrame(tx.ToXDR(), c.cfg.Passphrase)
}
