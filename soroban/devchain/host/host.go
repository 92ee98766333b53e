package host

import (
	"cmp"
	"errors"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// Input is one contract call.
type Input struct {
	NetworkID [32]byte
	Ledger    uint32        // the ledger in which the call runs
	Source    xdr.AccountId // source of the operation
	Call      xdr.InvokeContractArgs
	Auth      []xdr.SorobanAuthorizationEntry
	// RecordAuth invents the authorization entries that the call needs instead of checking Auth.
	RecordAuth bool
	// UpgradedAuth records the newer form of address credentials.
	UpgradedAuth bool
	// Footprint is what the call may touch; nil records what it touches.
	Footprint *xdr.LedgerFootprint
	// PersistentTTL is how many ledgers a new persistent entry lives; 0 is MinPersistentTTL.
	PersistentTTL uint32
	// Contract is the code of Call's contract, nil if there is none.
	Contract *Contract
}

// Output is what a successful call leaves.
type Output struct {
	Value     xdr.ScVal
	Events    []xdr.ContractEvent
	Auth      []xdr.SorobanAuthorizationEntry // recorded, if RecordAuth
	Footprint xdr.LedgerFootprint             // recorded, if Footprint was nil
	Archived  []xdr.LedgerKey                 // persistent entries that must be restored first
}

type invocation struct {
	in         Input
	storage    *storage
	recordAuth bool
	trackers   []tracker
	recorded   []xdr.SorobanAuthorizationEntry
	events     []xdr.ContractEvent
}

// Invoke runs the call on layer. If it fails the error is an *Error and the layer holds garbage: throw it away.
func Invoke(layer *state.Layer, in Input) (Output, error) {
	st, err := newStorage(layer, in.Ledger, in.Footprint)
	if err != nil {
		return Output{}, asHostError(err)
	}
	h := &invocation{in: in, storage: st, recordAuth: in.RecordAuth}
	for _, e := range in.Auth {
		h.trackers = append(h.trackers, tracker{entry: e})
	}
	val, err := h.run()
	if err != nil {
		return Output{}, asHostError(err)
	}
	out := Output{Value: val, Events: h.events, Auth: h.recorded}
	if in.Footprint != nil {
		return out, nil
	}
	if out.Footprint, err = st.footprint(); err != nil {
		return Output{}, asHostError(err)
	}
	for k := range st.archived {
		key, err := k.LedgerKey()
		if err != nil {
			return Output{}, asHostError(err)
		}
		out.Archived = append(out.Archived, key)
	}
	return out, nil
}

func asHostError(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fail(xdr.ScErrorTypeSceContext, xdr.ScErrorCodeScecInternalError, "%v", err)
}

func (h *invocation) run() (xdr.ScVal, error) {
	if h.in.Call.ContractAddress.Type != xdr.ScAddressTypeScAddressTypeContract {
		return xdr.ScVal{}, fail(xdr.ScErrorTypeSceValue, xdr.ScErrorCodeScecInvalidInput, "not a contract address")
	}
	instance, err := h.loadInstance()
	if err != nil {
		return xdr.ScVal{}, err
	}
	if h.in.Contract == nil {
		return xdr.ScVal{}, fail(xdr.ScErrorTypeSceWasmVm, xdr.ScErrorCodeScecInvalidAction,
			"the development chain has no code for this contract")
	}
	fn, err := h.in.Contract.function(string(h.in.Call.FunctionName), h.in.Call.Args)
	if err != nil {
		return xdr.ScVal{}, err
	}
	return fn(&Env{inv: h, instance: instance}, h.in.Call.Args)
}

// loadInstance reads the contract's instance and code, as the real host does, so that both are in the footprint.
func (h *invocation) loadInstance() (*xdr.ScContractInstance, error) {
	k, err := dataKey(h.in.Call.ContractAddress, xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyContractInstance},
		xdr.ContractDataDurabilityPersistent)
	if err != nil {
		return nil, err
	}
	e, err := h.storage.get(k)
	if err != nil {
		return nil, err
	}
	if e == nil || e.Data.ContractData.Val.Instance == nil {
		return nil, fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecMissingValue, "trying to get non-existing value for contract instance")
	}
	instance := e.Data.ContractData.Val.Instance
	if instance.Executable.WasmHash == nil {
		return instance, nil
	}
	code, err := state.KeyOf(xdr.LedgerKey{
		Type: xdr.LedgerEntryTypeContractCode, ContractCode: &xdr.LedgerKeyContractCode{Hash: *instance.Executable.WasmHash},
	})
	if err != nil {
		return nil, err
	}
	_, err = h.storage.get(code)
	return instance, err
}

func dataKey(contract xdr.ScAddress, key xdr.ScVal, d xdr.ContractDataDurability) (state.Key, error) {
	return state.KeyOf(xdr.LedgerKey{Type: xdr.LedgerEntryTypeContractData, ContractData: &xdr.LedgerKeyContractData{
		Contract: contract, Key: key, Durability: d,
	}})
}

// Env is what a contract function sees of the chain.
type Env struct {
	inv      *invocation
	instance *xdr.ScContractInstance
}

// RequireAuth fails the call unless addr authorized exactly this invocation.
func (e *Env) RequireAuth(addr xdr.ScAddress) error { return e.inv.requireAuth(addr) }

// Instance reads the contract's instance storage; false if there is no such key.
func (e *Env) Instance(name string) (xdr.ScVal, bool) {
	if e.instance.Storage == nil {
		return xdr.ScVal{}, false
	}
	m := e.instance.Storage
	return Lookup(xdr.ScVal{Type: xdr.ScValTypeScvMap, Map: &m}, name)
}

// Get reads the contract's persistent storage.
func (e *Env) Get(key xdr.ScVal) (xdr.ScVal, bool, error) {
	k, err := dataKey(e.inv.in.Call.ContractAddress, key, xdr.ContractDataDurabilityPersistent)
	if err != nil {
		return xdr.ScVal{}, false, err
	}
	entry, err := e.inv.storage.get(k)
	if err != nil || entry == nil {
		return xdr.ScVal{}, false, err
	}
	return entry.Data.ContractData.Val, true, nil
}

// Put writes the contract's persistent storage and extends the entry's life.
func (e *Env) Put(key, val xdr.ScVal) error {
	contract := e.inv.in.Call.ContractAddress
	k, err := dataKey(contract, key, xdr.ContractDataDurabilityPersistent)
	if err != nil {
		return err
	}
	return e.inv.storage.put(k, xdr.LedgerEntryData{
		Type: xdr.LedgerEntryTypeContractData,
		ContractData: &xdr.ContractDataEntry{
			Contract: contract, Key: key, Durability: xdr.ContractDataDurabilityPersistent, Val: val,
		},
	}, e.inv.in.Ledger+cmp.Or(e.inv.in.PersistentTTL, MinPersistentTTL)-1)
}

// Emit publishes a contract event.
func (e *Env) Emit(data xdr.ScVal, topics ...xdr.ScVal) {
	id := *e.inv.in.Call.ContractAddress.ContractId
	e.inv.events = append(e.inv.events, xdr.ContractEvent{
		ContractId: &id,
		Type:       xdr.ContractEventTypeContract,
		Body:       xdr.ContractEventBody{V: 0, V0: &xdr.ContractEventV0{Topics: topics, Data: data}},
	})
}
