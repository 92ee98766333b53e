package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Codes of problems that only a proxied route has.
const (
	// CodeUnreachable: no byte of the request was sent.
	CodeUnreachable onceward.Code = "backend-unreachable"
	// CodeFailed: the connection broke before the answer was complete.
	CodeFailed onceward.Code = "backend-failed"
	// CodeTimeout: the answer did not come in time.
	CodeTimeout onceward.Code = "backend-timeout"
	// CodeError: the backend answered 500 or more, under policy hold.
	CodeError onceward.Code = "backend-error"
)

// Problems lists what a proxied route may answer beside oncehttp.Problems.
func Problems() []oncehttp.ProblemType {
	return []oncehttp.ProblemType{
		{
			Code: CodeUnreachable, Status: http.StatusBadGateway, Title: "Backend unreachable", Retryable: true,
			Detail: "No connection to the backend came about, so nothing was done. Send the request again with the same key.",
		},
		{
			Code: CodeFailed, Status: http.StatusBadGateway, Title: "Backend failed",
			Detail: "The connection to the backend broke before its answer was complete. It may have acted.",
		},
		{
			Code: CodeTimeout, Status: http.StatusGatewayTimeout, Title: "Backend timed out",
			Detail: "The backend did not answer in time. It may have acted.",
		},
		{
			Code: CodeError, Status: http.StatusBadGateway, Title: "Backend error",
			Detail: "The backend answered with an error of its own. It may have acted before that.",
		},
	}
}

// problem returns the answer with code; what follows for the key is appended
// to its detail.
func problem(code onceward.Code, more string) *oncehttp.Problem {
	for _, t := range Problems() {
		if t.Code == code {
			p := t.Problem()
			if more != "" {
				p.Detail += " " + more
			}
			return p
		}
	}
	return &oncehttp.Problem{Code: oncehttp.CodeInternal}
}

// failed is the reverse proxy's error handler. r is the request to the
// backend.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if c := callOf(r.Context()); c != nil {
		p.failedKeyed(r, c, err)
		return
	}
	if broken := brokenBody(r.Context()); broken != nil {
		p.brokeOff(w, r, broken)
		return
	}
	if r.Context().Err() == nil { // else the client has gone, which is no failure
		p.cfg.Log.WarnContext(r.Context(), "backend failed", "method", r.Method, "err", err)
	}
	out := problem(p.code(err), "")
	if out.Code == CodeUnreachable {
		out.Detail, out.Retryable = "No connection to the backend came about, so nothing was done.", true
	}
	w.Header().Del("Idempotent-Replayed")
	out.Write(w, r)
}

// failedKeyed ends an attempt that brought no answer, or one that proves
// nothing.
func (p *Proxy) failedKeyed(r *http.Request, c *call, err error) {
	if ended := cause(r.Context()); ended != nil {
		err = ended
	}
	log := p.cfg.Log.With("operation", c.op.ID(), "kind", c.op.Kind(), "attempt", c.op.Attempt())
	if !c.sent {
		log.WarnContext(r.Context(), "backend not reached; nothing was sent", "err", err)
		out := problem(CodeUnreachable, "")
		out.RetryAfter = time.Second
		p.refuse(r, c, out)
		return
	}
	policy := c.op.Record().Policy
	log.WarnContext(r.Context(), "backend failed; the crash policy decides", "policy", policy, "err", err)
	code, more := p.code(err), ""
	if code == CodeUnreachable {
		code = CodeFailed
	}
	status, answered := errors.AsType[*statusError](err)
	if answered {
		code = CodeError
	}
	switch policy {
	case onceward.Hold:
		more = "The key is held until somebody has found out."
	case onceward.Rerun:
		more = "A retry with the same key sends the request again."
	case onceward.Reconcile:
		more = "The backend is asked what became of it; ask again with the same key for the answer."
	}
	out := problem(code, more)
	if answered {
		out.Extensions = map[string]any{"backend_status": status.status}
	}
	if policy != onceward.Hold {
		out.Retryable, out.RetryAfter = true, time.Second
	}
	oncehttp.Fail(r, &failure{out, err})
}

// failure is a problem with its cause: the cause is for the operator who is
// asked to decide, the problem for the client.
type failure struct {
	problem *oncehttp.Problem
	cause   error
}

// Error implements error; it becomes the reason of a held record.
func (f *failure) Error() string { return f.cause.Error() }

// Unwrap returns the client's answer.
func (f *failure) Unwrap() error { return f.problem }

// code names a failure by its error.
func (p *Proxy) code(err error) onceward.Code {
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &op) && op.Op == "dial", isDNS(err):
		return CodeUnreachable
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return CodeTimeout
	}
	return CodeFailed
}

func isDNS(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
