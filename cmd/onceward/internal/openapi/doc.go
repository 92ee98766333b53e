// Package openapi describes the configured routes of a gateway as an OpenAPI
// 3.1 document, and renders it as a page.
//
// # What is guaranteed
//
// The document lists the configured routes and the gateway's own endpoints,
// and nothing else: for each the header of the key, the arguments as the
// contract on chain declares them, and every problem by its code. The same
// configuration gives the same bytes. The page needs no script and loads
// nothing from elsewhere.
//
// # What is not guaranteed
//
// What a backend behind a proxied route takes and answers is not known here;
// only what the gateway adds is described. A schema admits every value that
// the contract's type can hold; the contract may refuse it all the same.
package openapi
