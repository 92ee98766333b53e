// Package jstest holds no Go code to import. Its test proves that the unmodified JavaScript SDK works on the
// development chain: it serves a chain on a loopback port and runs the node:test suites beside it, one for each major
// version of the SDK in package.json.
//
// It needs Node.js 20.19 or newer with npm, and installs the pinned packages with npm ci when they are missing. It does
// not prove that every call of the SDK works: suite.js lists the calls made.
//
// Beside it, spec.js has the SDK's contract.Spec convert the corpus of package contractspec, both ways.
package jstest
