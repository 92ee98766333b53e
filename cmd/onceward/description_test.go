package main_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/onceward/onceward/cmd/onceward/internal/apicheck"
)

// described holds what clients of a server have seen against what the server
// itself says of its API. It is the server's own openapi.json that judges, as
// it was when the process began; after a reload, as it is then.
type described struct {
	mu    sync.Mutex
	front string // the listener that is described
	doc   *apicheck.Description
	told  map[string]bool // what was reported: tests that poll see it often
	seen  int             // answers that were held against doc
	blind int             // answers for which there was none
	why   error           // there is none
	wrong error           // with a description that was no description
}

// descriptions are parsed once: most servers of the tests have the same.
var descriptions sync.Map // text → *apicheck.Description

// describe asks a server that has just begun for its description.
func (s *server) describe() {
	s.described.mu.Lock()
	defer s.described.mu.Unlock()
	s.described.front, s.described.doc = s.api, nil
	if strings.HasPrefix(s.api, "http://") { // another client must do it over TLS
		s.described.fetch(s.t.Context(), http.DefaultClient)
	}
}

// fetch gets the description. A server that is gone, or too busy, has none.
func (d *described) fetch(ctx context.Context, client *http.Client) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.front+"/openapi.json", http.NoBody)
	if err != nil {
		return
	}
	res, err := client.Do(req)
	if err != nil {
		return
	}
	data, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err != nil {
		d.why = err
		return
	}
	if doc, ok := descriptions.Load(string(data)); ok {
		d.doc, _ = doc.(*apicheck.Description)
		return
	}
	doc, err := apicheck.Parse(data)
	if err != nil {
		d.why, d.wrong = err, err // judge says so
		return
	}
	descriptions.Store(string(data), doc)
	d.doc = doc
}

// saw holds an answer against the description, and a request that succeeded:
// what is done must be what may be asked for.
func (s *server) saw(ctx context.Context, client *http.Client, req *http.Request, sent string, res *http.Response, body []byte) {
	d := &s.described
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.front == "" || !strings.HasPrefix(res.Request.URL.String(), d.front+"/") {
		return // another listener, or a server of another make
	}
	s.t.Helper()
	a := apicheck.Answer{
		Method: res.Request.Method, Path: res.Request.URL.EscapedPath(), Status: res.StatusCode, Header: res.Header, Body: body,
	}
	if d.doc == nil {
		d.fetch(ctx, client)
	}
	if d.doc == nil {
		d.blind++
		return
	}
	d.seen++
	judged := func() error {
		if err := d.doc.Answer(a); err != nil || a.Status >= http.StatusMultipleChoices || req.URL != res.Request.URL {
			return err
		}
		if err := d.doc.Request(req, []byte(sent)); err != nil {
			return fmt.Errorf("%s %s succeeds, and openapi.json does not admit it: %w\n%s", a.Method, a.Path, err, sent)
		}
		return nil
	}
	before := judged()
	if before == nil {
		return
	}
	old := d.doc
	d.fetch(ctx, client) // the configuration may be another one now
	once := fmt.Sprint(a.Method, " ", a.Path, " ", a.Status)
	if (d.doc == old || judged() != nil) && !d.told[once] {
		if d.told == nil {
			d.told = make(map[string]bool)
		}
		d.told[once] = true
		s.t.Error(before)
	}
}

// judge reports a server that nothing was held against.
func (s *server) judge() {
	s.described.mu.Lock()
	defer s.described.mu.Unlock()
	if s.described.wrong != nil {
		s.t.Error(s.described.wrong)
	} else if s.described.blind > 0 && s.described.seen == 0 {
		s.t.Errorf("none of %d answers was held against openapi.json: %v", s.described.blind, s.described.why)
	}
}
