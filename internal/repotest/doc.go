// Package repotest holds the tests that the repository runs on itself: what may
// import what, which files and functions are too long, whether documentation is
// there and its links lead somewhere. It has no code of its own.
//
// Every rule is a function from a tree of files to a list of violations. It runs
// twice: over this repository, where it must find none, and over a small broken
// tree, where it must find the planted one. A rule that has stopped noticing
// therefore fails too.
//
// What is read is the work tree's version of every file that git tracks; files
// not yet added are not seen.
package repotest
