// Package remotesigner keeps secret keys in another process: a daemon signs
// what it is asked to over a local socket, and the Submitter's Signer is its
// client. It is also the pattern for a signer in a KMS or HSM: only Client
// changes.
//
//	l, err := remotesigner.Listen(ctx, "/run/onceward/signer.sock")
//	srv, err := remotesigner.NewServer(remotesigner.ServerConfig{Signers: []soroban.Signer{minter}})
//	err = srv.Serve(ctx, l)
//
//	minter, err := remotesigner.New(remotesigner.Config{Socket: "/run/onceward/signer.sock", Address: "G…"})
//
// # Protocol
//
// One request for each connection. The client writes one line of JSON, of at
// most 1 KiB, and the server answers with one:
//
//	{"v":1,"address":"G…","hash":"64 hexadecimal digits"}
//	{"signature":"128 hexadecimal digits"}
//	{"error":"limited","detail":"…","retry_after_ms":1500}
//
// The errors are malformed, unknown-address, limited, busy and failed.
//
// # What keeps others out
//
// The socket's mode is 0600. On Linux the server asks the kernel who is at the
// other end (SO_PEERCRED) and serves only its own user, root, and the users in
// ServerConfig.AllowUIDs; the client does the same with the server. The Submitter
// verifies every signature before it uses it.
//
// # What it does not do
//
// The daemon signs hashes and does not see what they stand for: whoever may
// talk to it may have anything signed. Its limits (soroban.LimitedSigner) bound
// the damage. It keeps the keys out of the reach of whoever reads the memory
// or the files of the process that faces the network, no more.
package remotesigner
