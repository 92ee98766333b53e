package replay

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/onceward/onceward"
)

func completed(name string, size int, expires time.Time) (onceward.ID, *onceward.Record) {
	k := onceward.Key{Value: name}
	return k.ID(), &onceward.Record{
		Key: k, Status: onceward.StatusCompleted, ExpiresAt: expires,
		Response: &onceward.Response{Status: 200, Body: bytes.Repeat([]byte("x"), size), Header: map[string][]string{"A": {"b"}}},
	}
}

func TestCacheIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const limit = 100_000
	c := New(limit)
	for i := range 1000 {
		c.Put(completed(fmt.Sprint(i), 1000, now.Add(time.Hour)))
		if _, ok := c.Get(onceward.Key{Value: "0"}.ID(), now); !ok {
			t.Fatalf("what is used was driven out by number %d", i)
		}
		if c.size > limit {
			t.Fatalf("%d bytes, at most %d", c.size, limit)
		}
	}
	if len(c.items) != c.order.Len() || len(c.items) < limit/4000 {
		t.Errorf("%d items, %d in order", len(c.items), c.order.Len())
	}
	c.Put(completed("giant", limit, now.Add(time.Hour)))
	if _, ok := c.Get(onceward.Key{Value: "giant"}.ID(), now); ok {
		t.Error("a giant was kept")
	}
	for c.order.Len() > 0 {
		c.drop(c.order.Back())
	}
	if c.size != 0 || len(c.items) != 0 {
		t.Errorf("an empty cache of %d bytes and %d items", c.size, len(c.items))
	}
}

func TestCacheKeepsWhatIsFinalAndNotTooLong(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := New(1 << 20)
	id, held := completed("held", 1, onceward.Never)
	held.Status = onceward.StatusHeld
	c.Put(id, held)
	if _, ok := c.Get(id, now); ok {
		t.Error("a held record was kept")
	}
	id, r := completed("k", 10, now.Add(time.Hour))
	c.Put(id, r)
	r.Response.Body[0] = 'y'
	got, ok := c.Get(id, now)
	if !ok || got.Response.Body[0] != 'x' {
		t.Fatalf("kept %v, %q", ok, got.Response.Body)
	}
	clear(got.Response.Body)
	got.Response.Header["A"][0] = "spoilt"
	if again, _ := c.Get(id, now); again.Response.Body[0] != 'x' || again.Response.Header["A"][0] != "b" {
		t.Error("what was returned is the kept one")
	}
	if _, ok := c.Get(id, now.Add(time.Hour-margin)); ok {
		t.Error("answered from memory although it expires soon")
	}
	if len(c.items) != 0 {
		t.Error("it was not forgotten")
	}
}

// What a caller does to one part of a clone reaches neither the original nor the
// clone's other parts, though they share memory.
func TestClonesAreApart(t *testing.T) {
	t.Parallel()
	original := func() onceward.Record {
		return onceward.Record{
			Fingerprint: []byte("fingerprint"), Detail: []byte("detail"),
			Checkpoints: []onceward.Checkpoint{{Name: "sent", Data: []byte("data")}},
			Response: &onceward.Response{Status: 200, Body: []byte("body"), Header: map[string][]string{
				"A": {"a1", "a2"}, "B": {"b"}, "None": {},
			}},
		}
	}
	r := original()
	c := Clone(&r)
	if !reflect.DeepEqual(c, original()) {
		t.Fatalf("%+v", c)
	}
	c.Fingerprint = append(c.Fingerprint, "more"...)
	c.Detail = append(c.Detail, "more"...)
	c.Response.Header["A"] = append(c.Response.Header["A"], "a3")
	c.Response.Header["None"] = append(c.Response.Header["None"], "some")
	if string(c.Detail) != "detailmore" || string(c.Response.Body) != "body" || c.Response.Header["B"][0] != "b" || c.Response.Header["A"][0] != "a1" {
		t.Errorf("one part reached another: %+v, %+v", c, c.Response)
	}
	clear(c.Fingerprint)
	clear(c.Response.Body)
	clear(c.Checkpoints[0].Data)
	c.Checkpoints[0].Name, c.Response.Header["A"][0], c.Response.Header["C"] = "", "", nil
	if !reflect.DeepEqual(r, original()) {
		t.Errorf("the original became %+v", r)
	}
	var empty onceward.Record
	if got := Clone(&empty); !reflect.DeepEqual(got, empty) {
		t.Errorf("of nothing: %+v", got)
	}
}
