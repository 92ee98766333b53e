//go:build !torture

package crashpoint

import (
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// Store returns s.
func Store(s onceward.Store) onceward.Store { return s }

// RPC returns r.
func RPC(r soroban.RPC) soroban.RPC { return r }

// Now is time.Now.
func Now() time.Time { return time.Now() }
