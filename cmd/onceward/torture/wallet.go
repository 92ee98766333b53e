package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// wallets are users who sign for themselves. They share few accounts, so that
// what one signs competes for sequence numbers with what another does.
type wallets struct {
	c      *campaign
	node   *httptest.Server // a way to the chain of their own
	rpc    *soroban.Client
	keys   []*keypair.Full
	own    map[string]bool // by address
	nobody string          // an account that simulations are asked for
}

func newWallets(c *campaign) (*wallets, error) {
	w := &wallets{c: c, own: make(map[string]bool), nobody: keypair.Master("torture nobody").Address()}
	for i := range max(2, c.cfg.clients/4) {
		key, ok := keypair.Master(fmt.Sprint("torture wallet ", i)).(*keypair.Full)
		if !ok {
			return nil, errors.New("a wallet has no secret key")
		}
		if err := c.chain.Fund(key.Address(), 10_000*10_000_000); err != nil {
			return nil, err
		}
		w.keys, w.own[key.Address()] = append(w.keys, key), true
	}
	w.node = httptest.NewServer(c.chain.Handler())
	var err error
	if w.rpc, err = soroban.NewClient(soroban.ClientConfig{}, w.node.URL); err != nil {
		w.node.Close()
		return nil, err
	}
	return w, nil
}

func (w *wallets) close() { w.node.Close() }

// sign gives a relayed operation its body: a vote that a user has signed. The
// faults of the chain hinder wallets, too, which then ask again.
func (w *wallets) sign(ctx context.Context, op *operation) error {
	key := pick(w.c.dice, w.keys)
	op.effect = effectOf(key.Address(), op.proposal())
	for {
		member, encoded, err := w.signed(ctx, op, key)
		if err == nil {
			body, err := json.Marshal(map[string]string{member: encoded})
			op.body = string(body)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func (w *wallets) signed(ctx context.Context, op *operation, key *keypair.Full) (member, encoded string, err error) {
	if op.kind == kindAuthorization {
		encoded, err = w.authorization(ctx, op, key)
		return "authorization", encoded, err
	}
	encoded, err = w.transaction(ctx, op, key)
	return "xdr", encoded, err
}

// transaction is a whole transaction, valid for some ledgers or for some time.
func (w *wallets) transaction(ctx context.Context, op *operation, key *keypair.Full) (string, error) {
	sequence, ledger, err := w.account(ctx, key.Address())
	if err != nil {
		return "", err
	}
	ends := txnbuild.Preconditions{TimeBounds: txnbuild.NewTimeout(50 * 60)}
	if w.c.dice.percent(50) {
		last := ledger + uint32(w.c.dice.n(200)) + 20 //nolint:gosec // small
		ends = txnbuild.Preconditions{
			TimeBounds: txnbuild.NewInfiniteTimeout(), LedgerBounds: &txnbuild.LedgerBounds{MaxLedger: last},
		}
	}
	v, err := w.vote(ctx, key.Address(), op.proposal(), key.Address(), sequence, ends)
	if err != nil {
		return "", err
	}
	tx, err := v.tx.Sign(w.c.chain.Passphrase(), key)
	if err != nil {
		return "", err
	}
	return tx.Base64()
}

// authorization is a signed entry, for whoever sends it.
func (w *wallets) authorization(ctx context.Context, op *operation, key *keypair.Full) (string, error) {
	v, err := w.vote(ctx, key.Address(), op.proposal(), w.nobody, 0, txnbuild.Preconditions{TimeBounds: txnbuild.NewTimeout(60)})
	if err != nil {
		return "", err
	}
	entry := v.entry
	cred := entry.Credentials.Address
	if cred == nil {
		return "", errors.New("the simulation asks for no signature")
	}
	cred.SignatureExpirationLedger = xdr.Uint32(v.ledger) + 150 + xdr.Uint32(w.c.dice.n(150)) //nolint:gosec // small
	raw, err := xdr.HashIdPreimage{
		Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorization,
		SorobanAuthorization: &xdr.HashIdPreimageSorobanAuthorization{
			NetworkId: network.ID(w.c.chain.Passphrase()), Nonce: cred.Nonce,
			SignatureExpirationLedger: cred.SignatureExpirationLedger, Invocation: entry.RootInvocation,
		},
	}.MarshalBinary()
	if err != nil {
		return "", err
	}
	payload := sha256.Sum256(raw)
	signature, err := key.Sign(payload[:])
	if err != nil {
		return "", err
	}
	public := xdr.MustAddress(key.Address()).Ed25519
	m := &xdr.ScMap{bytesField("public_key", public[:]), bytesField("signature", signature)}
	list := &xdr.ScVec{{Type: xdr.ScValTypeScvMap, Map: &m}}
	cred.Signature = xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: &list}
	return xdr.MarshalBase64(entry)
}

func bytesField(name string, b []byte) xdr.ScMapEntry {
	return xdr.ScMapEntry{
		Key: xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: new(xdr.ScSymbol(name))},
		Val: xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: new(xdr.ScBytes(b))},
	}
}

// account returns an account's sequence number, and the ledger it is of.
func (w *wallets) account(ctx context.Context, address string) (sequence int64, ledger uint32, err error) {
	id := xdr.MustAddress(address)
	key, err := xdr.MarshalBase64(xdr.LedgerKey{Type: xdr.LedgerEntryTypeAccount, Account: &xdr.LedgerKeyAccount{AccountId: id}})
	if err != nil {
		return 0, 0, err
	}
	res, err := w.rpc.GetLedgerEntries(ctx, protocol.GetLedgerEntriesRequest{Keys: []string{key}})
	if err != nil {
		return 0, 0, err
	}
	var data xdr.LedgerEntryData
	if len(res.Entries) != 1 {
		return 0, 0, errors.New("the account is not found")
	}
	if err := xdr.SafeUnmarshalBase64(res.Entries[0].DataXDR, &data); err != nil || data.Account == nil {
		return 0, 0, errors.Join(err, errors.New("the account cannot be read"))
	}
	return int64(data.Account.SeqNum), res.LatestLedger, nil
}

// ballot is votes.cast(voter, proposal, true): a transaction of some account,
// and the authorization that its simulation asks for, as of a ledger.
type ballot struct {
	tx     *txnbuild.Transaction
	entry  *xdr.SorobanAuthorizationEntry
	ledger uint32
}

func (w *wallets) vote(ctx context.Context, voter string, proposal uint64, source string, sequence int64, ends txnbuild.Preconditions) (*ballot, error) {
	id, err := strkey.Decode(strkey.VersionByteContract, devchain.ContractID(w.c.chain.Passphrase(), "votes"))
	if err != nil {
		return nil, err
	}
	contract, self := xdr.ContractId(id), xdr.MustAddress(voter)
	op := &txnbuild.InvokeHostFunction{HostFunction: xdr.HostFunction{
		Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
		InvokeContract: &xdr.InvokeContractArgs{
			ContractAddress: xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &contract},
			FunctionName:    "cast",
			Args: []xdr.ScVal{
				{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &self}},
				{Type: xdr.ScValTypeScvU64, U64: new(xdr.Uint64(proposal))},
				{Type: xdr.ScValTypeScvBool, B: new(true)},
			},
		},
	}}
	build := func(fee int64) (*txnbuild.Transaction, error) {
		return txnbuild.NewTransaction(txnbuild.TransactionParams{
			SourceAccount: &txnbuild.SimpleAccount{AccountID: source, Sequence: sequence}, IncrementSequenceNum: true,
			BaseFee: fee, Preconditions: ends, Operations: []txnbuild.Operation{op},
		})
	}
	sim, err := w.simulate(ctx, build)
	if err != nil {
		return nil, err
	}
	var data xdr.SorobanTransactionData
	entry := new(xdr.SorobanAuthorizationEntry)
	if err := errors.Join(xdr.SafeUnmarshalBase64(sim.TransactionDataXDR, &data),
		xdr.SafeUnmarshalBase64((*sim.Results[0].AuthXDR)[0], entry)); err != nil {
		return nil, err
	}
	data.ResourceFee = xdr.Int64(sim.MinResourceFee)
	op.Ext, op.Auth = xdr.TransactionExt{V: 1, SorobanData: &data}, []xdr.SorobanAuthorizationEntry{*entry}
	tx, err := build(1000 + sim.MinResourceFee)
	return &ballot{tx, entry, sim.LatestLedger}, err
}

func (w *wallets) simulate(ctx context.Context, build func(fee int64) (*txnbuild.Transaction, error)) (*protocol.SimulateTransactionResponse, error) {
	tx, err := build(1000)
	if err != nil {
		return nil, err
	}
	encoded, err := tx.Base64()
	if err != nil {
		return nil, err
	}
	sim, err := w.rpc.SimulateTransaction(ctx, protocol.SimulateTransactionRequest{Transaction: encoded})
	switch {
	case err != nil:
		return nil, err
	case sim.Error != "":
		return nil, errors.New(sim.Error)
	case len(sim.Results) != 1 || sim.Results[0].AuthXDR == nil || len(*sim.Results[0].AuthXDR) != 1:
		return nil, errors.New("the simulation asks for no signature")
	}
	return &sim, nil
}
