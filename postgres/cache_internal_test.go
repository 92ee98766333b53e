package postgres

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/onceward/onceward"
)

func completedRow(name string, size int, expires time.Time) *row {
	k := onceward.Key{Value: name}
	return &row{id: k.ID(), Record: onceward.Record{
		Key: k, Status: onceward.StatusCompleted, ExpiresAt: expires,
		Response: &onceward.Response{Status: 200, Body: bytes.Repeat([]byte("x"), size), Header: map[string][]string{"A": {"b"}}},
	}}
}

func TestCacheIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const limit = 100_000
	c := newCache(limit)
	for i := range 1000 {
		c.put(completedRow(fmt.Sprint(i), 1000, now.Add(time.Hour)))
		if _, ok := c.get(onceward.Key{Value: "0"}.ID(), now); !ok {
			t.Fatalf("what is used was driven out by number %d", i)
		}
		if c.size > limit {
			t.Fatalf("%d bytes, at most %d", c.size, limit)
		}
	}
	if len(c.items) != c.order.Len() || len(c.items) < limit/4000 {
		t.Errorf("%d items, %d in order", len(c.items), c.order.Len())
	}
	c.put(completedRow("giant", limit, now.Add(time.Hour)))
	if _, ok := c.get(onceward.Key{Value: "giant"}.ID(), now); ok {
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
	c := newCache(1 << 20)
	held := completedRow("held", 1, onceward.Never)
	held.Status = onceward.StatusHeld
	c.put(held)
	if _, ok := c.get(held.id, now); ok {
		t.Error("a held record was kept")
	}
	r := completedRow("k", 10, now.Add(time.Hour))
	c.put(r)
	r.Response.Body[0] = 'y'
	got, ok := c.get(r.id, now)
	if !ok || got.Response.Body[0] != 'x' {
		t.Fatalf("kept %v, %q", ok, got.Response.Body)
	}
	clear(got.Response.Body)
	got.Response.Header["A"][0] = "spoilt"
	if again, _ := c.get(r.id, now); again.Response.Body[0] != 'x' || again.Response.Header["A"][0] != "b" {
		t.Error("what was returned is the kept one")
	}
	if _, ok := c.get(r.id, now.Add(time.Hour-cacheMargin)); ok {
		t.Error("answered from memory although it expires soon")
	}
	if len(c.items) != 0 {
		t.Error("it was not forgotten")
	}
}
