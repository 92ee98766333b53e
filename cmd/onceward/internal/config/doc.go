// Package config reads onceward.yaml.
//
// It is strict: what it does not know, it refuses, and it reports everything
// that is wrong at once, each with line and column and, where a name was
// meant, the name. Secrets are never written into the file: fields that hold
// one are named …_env or …_file and say where it is. Nothing else is taken
// from the environment.
//
// The structs below are the only description of the file: the reader, the
// JSON Schema and the reference in docs/configuration.md are derived from
// them. What a schema cannot say (routes that collide, expressions that do
// not type-check) is checked by Load alone.
//
// Not guaranteed: that the world agrees with the file. Whether a contract has
// the function that a route names is found out when the server starts.
package config
