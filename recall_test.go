package onceward_test

import (
	"bytes"
	"context"
	"reflect"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// TestRecall: what is recalled is what Do would answer, and nothing else is.
func TestRecall(t *testing.T) {
	t.Parallel()
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	do := func(key, fingerprint string, resp onceward.Response) (onceward.Outcome, error) {
		t.Helper()
		return eng.Do(t.Context(), onceward.Request{Key: onceward.Key{Scope: "s", Value: key}, Fingerprint: []byte(fingerprint)},
			func(context.Context, *onceward.Operation) (onceward.Response, error) { return resp, nil })
	}
	good := onceward.Response{Status: 201, Header: map[string][]string{"Location": {"/1"}}, Body: []byte("done")}
	for key, resp := range map[string]onceward.Response{
		"good": good, "refused": {Status: 422}, "gone": {Status: 200, Tombstone: true},
	} {
		if _, err := do(key, "f", resp); err != nil {
			t.Fatal(err)
		}
	}
	want, err := do("good", "f", onceward.Response{})
	if err != nil || !want.Replayed {
		t.Fatalf("not a replay: %+v, %v", want, err)
	}
	got, ok := eng.Recall(onceward.Key{Scope: "s", Value: "good"}, []byte("f"))
	if !ok || !reflect.DeepEqual(got, want) || !bytes.Equal(got.Response.Body, good.Body) {
		t.Errorf("recalled %+v, %v; Do answers %+v", got, ok, want)
	}
	for why, c := range map[string]struct{ scope, key, fingerprint string }{
		"another fingerprint":   {"s", "good", "g"},
		"another scope":         {"t", "good", "f"},
		"never seen":            {"s", "new", "f"},
		"released":              {"s", "refused", "f"},
		"no answer was kept":    {"s", "gone", "f"},
		"the library's own one": {onceward.ReservedScope, "good", "f"},
	} {
		if out, ok := eng.Recall(onceward.Key{Scope: c.scope, Value: c.key}, []byte(c.fingerprint)); ok {
			t.Errorf("%s: recalled %+v", why, out)
		}
	}
	without, err := onceward.New(struct{ onceward.Store }{eng.Store()}, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := without.Recall(onceward.Key{Scope: "s", Value: "good"}, []byte("f")); ok {
		t.Error("recalled from a store that is no Recaller")
	}
}
