package auth

import (
	"errors"
	"fmt"
)

// RouteScope is what CheckRoutes needs to know of a route.
type RouteScope struct {
	// Pattern names the route in errors.
	Pattern string
	// Keyed says that the route keeps answers under keys.
	Keyed bool
	// Scoped says that the route has a scope: it is behind Middleware, or has
	// an expression of its own for it.
	Scoped bool
	// SingleTenant says that all callers of the route are one on purpose.
	SingleTenant bool
}

// CheckRoutes refuses routes on which one caller could get the answer of
// another: keyed ones without a scope that are not declared single-tenant.
func CheckRoutes(routes []RouteScope) error {
	var errs []error
	for _, r := range routes {
		switch {
		case r.Keyed && !r.Scoped && !r.SingleTenant:
			errs = append(errs, fmt.Errorf("route %s: it says nowhere whose keys it gets, so one caller could get another's answer; "+
				"configure auth, give the route a scope, or declare it single-tenant", r.Pattern))
		case r.Scoped && r.SingleTenant:
			errs = append(errs, fmt.Errorf("route %s: it has a scope and is declared single-tenant; choose one", r.Pattern))
		}
	}
	return errors.Join(errs...)
}
