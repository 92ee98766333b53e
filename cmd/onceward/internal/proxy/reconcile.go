package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

const idPlaceholder = "{id}"

func (p *Proxy) setStatus(h2c bool) error {
	if p.cfg.StatusURL == "" {
		return nil
	}
	// Braces would be escaped; a UUID is not.
	probe := strings.ReplaceAll(p.cfg.StatusURL, idPlaceholder, onceward.ID{}.String())
	u, isH2C, err := backendURL("StatusURL", probe)
	switch {
	case err != nil:
		return err
	case probe == p.cfg.StatusURL:
		return fmt.Errorf("proxy: Config.StatusURL has no %s where the operation's id goes", idPlaceholder)
	case isH2C != h2c:
		return errors.New("proxy: Config.StatusURL and Config.Backend must both be h2c, or neither")
	}
	p.status = u.Scheme + p.cfg.StatusURL[strings.Index(p.cfg.StatusURL, "://"):]
	return nil
}

// Reconcile asks the backend what became of an operation whose attempt brought
// no answer. It is an onceward.Reconciler.
//
// An operation that never reached its checkpoint was never sent. Otherwise
// 200 means that the operation happened, and brings its answer; 404 that it
// never happened and never will under a lower token than the one in this
// question; anything else, that nobody knows yet.
func (p *Proxy) Reconcile(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	if _, sent := op.Recall(checkpointSending); !sent {
		return onceward.Verdict{Decision: onceward.NotApplied}, nil
	}
	v, err := p.ask(ctx, op)
	if err == nil {
		return v, nil
	}
	if errors.Is(cause(ctx), onceward.ErrPark) {
		return v, onceward.ErrPark
	}
	waited := p.cfg.Engine.Config().Now().Sub(op.Record().ClaimedAt)
	if waited < p.cfg.GiveUpAfter {
		return v, err
	}
	return onceward.Verdict{
		Decision: onceward.Unknown,
		Reason:   fmt.Sprintf("the backend could not tell for %v: %v", p.cfg.GiveUpAfter, err),
	}, nil
}

// ask makes one question. Its error says that the answer decides nothing.
func (p *Proxy) ask(ctx context.Context, op *onceward.Operation) (v onceward.Verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.StatusTimeout)
	defer cancel()
	target := strings.ReplaceAll(p.status, idPlaceholder, op.ID().String())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return v, fmt.Errorf("proxy: asking the backend: %w", err)
	}
	if p.cfg.Host != "" {
		req.Host = p.cfg.Host
	}
	req.Header[HeaderOperation] = []string{op.ID().String()}
	req.Header[HeaderToken] = []string{strconv.FormatInt(op.Token(), 10)}
	req.Header[HeaderAttempt] = []string{strconv.Itoa(op.Attempt())}
	res, err := p.transport.base.RoundTrip(req) // a redirect decides nothing
	if err != nil {
		return v, fmt.Errorf("proxy: asking the backend: %w", err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return p.original(res)
	case http.StatusNotFound:
		v.Decision = onceward.NotApplied
		return v, nil
	}
	return v, fmt.Errorf("proxy: the backend answered %d when asked what became of the operation", res.StatusCode)
}

// original makes the verdict of an operation that happened.
func (p *Proxy) original(res *http.Response) (v onceward.Verdict, err error) {
	v.Decision = onceward.Completed
	v.Response = onceward.Response{Status: http.StatusOK, Header: make(http.Header)}
	if s := res.Header.Get(HeaderOriginalStatus); s != "" {
		if v.Response.Status, err = strconv.Atoi(s); err != nil || v.Response.Status < 200 || v.Response.Status > 599 {
			return v, fmt.Errorf("proxy: the backend's %s is not a status", HeaderOriginalStatus)
		}
	}
	for _, name := range slices.Concat(oncehttp.ReplayedHeaders(), p.opts.ReplayHeaders) {
		name = http.CanonicalHeaderKey(name)
		if values := res.Header[name]; len(values) > 0 {
			v.Response.Header[name] = values
		}
	}
	limit := p.cfg.Engine.Config().MaxResponseBytes
	if v.Response.Body, err = io.ReadAll(io.LimitReader(res.Body, int64(limit)+1)); err != nil {
		return v, fmt.Errorf("proxy: the original answer broke off: %w", err)
	}
	return v, nil // one that is too large leaves a tombstone
}
