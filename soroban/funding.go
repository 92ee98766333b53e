package soroban

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Funding creates channel accounts from an account that has money.
type Funding struct {
	RPC        RPC
	Passphrase string
	// Funder pays. Nothing else may use it meanwhile.
	Funder Signer
	// Balance of each new account, in stroops. Default 100,000,000 (10 XLM).
	Balance int64
	// OperationFee is bid for each account, in stroops. Default 10,000.
	OperationFee int64
	// PollInterval is how often the chain is asked. Default 1 s.
	PollInterval time.Duration
}

const (
	maxCreate     = 100 // operations that a transaction holds
	fundingWindow = 16  // ledgers that a funding transaction may be applied in
	fundingTries  = 5
)

// CreateChannels creates the accounts that do not exist yet and returns how
// many those were. It can be repeated at any time, after a crash as well: an
// account is never paid for twice, since creating one that exists fails, and
// nothing is signed anew before the last transaction is proven dead.
func CreateChannels(ctx context.Context, cfg Funding, channels []Signer) (int, error) {
	cfg.Balance = cmp.Or(cfg.Balance, 100_000_000)
	cfg.OperationFee = cmp.Or(cfg.OperationFee, 10_000)
	cfg.PollInterval = cmp.Or(cfg.PollInterval, time.Second)
	switch {
	case cfg.RPC == nil || cfg.Passphrase == "" || cfg.Funder == nil || !isAccount(cfg.Funder.Address()):
		return 0, errors.New("soroban: Funding needs RPC, Passphrase and Funder")
	case cfg.Balance < 0 || cfg.OperationFee < minInclusionFee || cfg.OperationFee > math.MaxUint32/maxCreate:
		return 0, fmt.Errorf("soroban: Funding: Balance may not be negative, OperationFee is %d to %d stroops", minInclusionFee, math.MaxUint32/maxCreate)
	}
	created := 0
	for tries := 0; ; {
		missing, err := missingAccounts(ctx, cfg.RPC, channels)
		if err != nil || len(missing) == 0 {
			return created, err
		}
		if tries == fundingTries {
			return created, fmt.Errorf("soroban: %d transactions did not create channel %s; try again later", tries, missing[0])
		}
		page := missing[:min(maxCreate, len(missing))]
		done, err := cfg.create(ctx, page)
		if err != nil {
			return created, err
		}
		if done {
			created, tries = created+len(page), 0
		} else {
			tries++
		}
	}
}

// create signs one transaction and follows it to its end. It reports whether
// it was applied.
func (cfg *Funding) create(ctx context.Context, addresses []string) (bool, error) {
	v, err := cfg.look(ctx)
	if err != nil {
		return false, err
	}
	seq, maxLedger := v.seq+1, v.ledger+fundingWindow
	env, hash, err := cfg.sign(ctx, addresses, seq, maxLedger)
	if err != nil {
		return false, err
	}
	for sentAt := uint32(0); ; {
		if v.ledger >= sentAt+resendAfter && v.ledger < maxLedger-1 {
			sentAt = v.ledger
			// No answer to sending decides anything.
			_, _ = cfg.RPC.SendTransaction(ctx, protocol.SendTransactionRequest{Transaction: env})
		}
		t := time.NewTimer(cfg.PollInterval)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false, context.Cause(ctx)
		}
		seen, err := cfg.look(ctx)
		switch {
		case err != nil:
			continue // asked again
		case seen.used(seq):
			return cfg.applied(ctx, hash)
		case seen.never(seq, maxLedger):
			return false, nil
		}
		v = seen
	}
}

// applied reports how the transaction ended that may have consumed the
// funder's sequence number. One that is not found may have been another's.
func (cfg *Funding) applied(ctx context.Context, hash string) (bool, error) {
	res, err := cfg.RPC.GetTransaction(ctx, protocol.GetTransactionRequest{Hash: hash})
	switch {
	case err != nil:
		return false, nil //nolint:nilerr // the accounts themselves will tell
	case res.Status == protocol.TransactionStatusSuccess:
		return true, nil
	case res.Status != protocol.TransactionStatusFailed:
		return false, nil
	}
	var result xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(res.ResultXDR, &result); err != nil {
		return false, fmt.Errorf("soroban: funding transaction %s failed for a reason that cannot be read: %w", hash, err)
	}
	ops, _ := result.OperationResults()
	for i := range ops {
		if ops[i].Tr == nil || ops[i].Tr.CreateAccountResult == nil {
			continue
		}
		switch code := ops[i].Tr.CreateAccountResult.Code; code {
		case xdr.CreateAccountResultCodeCreateAccountSuccess:
		case xdr.CreateAccountResultCodeCreateAccountAlreadyExist:
			return false, nil // somebody else created one of them meanwhile
		default:
			return false, fmt.Errorf("soroban: funding transaction %s failed: %s; give account %s more money, or Balance another value",
				hash, snake(code.String(), "CreateAccountResultCodeCreateAccount"), cfg.Funder.Address())
		}
	}
	return false, fmt.Errorf("soroban: funding transaction %s failed: %s", hash, failureCode(&result))
}

func (cfg *Funding) look(ctx context.Context) (ledgerView, error) {
	admin := ChannelAdmin{RPC: cfg.RPC, CallTimeout: 10 * time.Second}
	views, err := admin.views(ctx, []string{cfg.Funder.Address()})
	if err != nil {
		return ledgerView{}, err
	}
	if !views[0].account {
		return ledgerView{}, fmt.Errorf("soroban: the funding account %s does not exist on this network", cfg.Funder.Address())
	}
	return views[0], nil
}

func (cfg *Funding) sign(ctx context.Context, addresses []string, seq int64, maxLedger uint32) (envelope, hash string, err error) {
	id, err := xdr.AddressToAccountId(cfg.Funder.Address())
	if err != nil {
		return "", "", fmt.Errorf("soroban: funder: %w", err)
	}
	tx := xdr.Transaction{
		SourceAccount: id.ToMuxedAccount(), SeqNum: xdr.SequenceNumber(seq),
		Fee: xdr.Uint32(cfg.OperationFee * int64(len(addresses))), //nolint:gosec // checked
		Cond: xdr.Preconditions{Type: xdr.PreconditionTypePrecondV2, V2: &xdr.PreconditionsV2{
			LedgerBounds: &xdr.LedgerBounds{MaxLedger: xdr.Uint32(maxLedger)},
		}},
	}
	for _, address := range addresses {
		to, err := xdr.AddressToAccountId(address)
		if err != nil {
			return "", "", fmt.Errorf("soroban: channel %q: %w", address, err)
		}
		tx.Operations = append(tx.Operations, xdr.Operation{Body: xdr.OperationBody{
			Type:            xdr.OperationTypeCreateAccount,
			CreateAccountOp: &xdr.CreateAccountOp{Destination: to, StartingBalance: xdr.Int64(cfg.Balance)},
		}})
	}
	sum, err := network.HashTransaction(tx, cfg.Passphrase)
	if err != nil {
		return "", "", fmt.Errorf("soroban: hashing the funding transaction: %w", err)
	}
	sig, err := signed(ctx, cfg.Funder, sum)
	if err != nil {
		return "", "", err
	}
	raw, err := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{
		Tx: tx, Signatures: []xdr.DecoratedSignature{{Hint: hintOf(id), Signature: sig}},
	}}.MarshalBinary()
	if err != nil {
		return "", "", fmt.Errorf("soroban: encoding the funding transaction: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(sum[:]), nil
}
