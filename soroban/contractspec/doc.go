// Package contractspec reads the interface that a Soroban contract declares in
// its wasm and translates between JSON and the contract's own types.
//
// [Parse] walks the wasm sections, joins the custom sections named
// contractspecv0 and decodes them into a [Spec]. With it, [Spec.Args] turns
// JSON arguments by name into the values a call takes, [Spec.Result] turns a
// returned value into JSON, and [Spec.ErrorName] names a contract's error code.
//
// # Guarantees
//
// No input makes the package panic, neither wasm nor JSON nor a value from the
// chain. Sizes, depths and counts are bounded by the Max constants. A number is
// never rounded: a value that does not fit its type is refused. Nothing is
// guessed: missing and unknown members, duplicate members and trailing data are
// errors. An accepted value has one encoding, so Args(Result(v)) is v.
//
// # Not guaranteed
//
// The interface is what the contract says of itself; the contract may refuse
// arguments that fit it. Wasm is not validated beyond its section framing.
// Event declarations are kept ([Spec.Entries]) but not interpreted.
//
// # JSON forms
//
// The same forms are read and written. Where two are accepted, the one that
// Result writes comes first.
//
//	bool                  true, false
//	void                  null
//	u32, i32              number; or decimal string
//	u64, i64, u128, i128,
//	u256, i256, timepoint
//	(Unix seconds),
//	duration (seconds)    decimal string "-5"; or a JSON integer. Never 1.0, 1e3, +1, 007 or -0
//	bytes, BytesN         hexadecimal string without 0x, either case read, lower case written
//	string                string; {"hex": "ff"} when the bytes are not UTF-8
//	symbol                string of at most 32 of a-z, A-Z, 0-9, _
//	address               "G…" or "C…"; for MuxedAddress also "M…"; a result may hold "B…" or "L…"
//	Vec, tuple,
//	tuple struct          array
//	Map                   object when the key type is written as a string or number; or array
//	                      of [key, value] pairs, written when the keys are of another type
//	Option                null or the value; the member itself must be present
//	Result                {"ok": value} or {"error": value}; Result writes a function's own ok value bare
//	struct                object with exactly the declared fields
//	enum                  "CaseName"; or the case's number
//	union                 {"tag": "CaseName"} or {"tag": "CaseName", "values": [ … ]}
//	error enum            "CaseName"; or the case's number
//	Error                 {"type": "contract", "code": 7} or {"type": "auth", "code": "existing_value"}
//	Val                   one member that names the type: {"u32": 5}, {"vec": [{"symbol": "a"}]},
//	                      {"map": [[{"u32": 1}, {"void": null}]]}
package contractspec
