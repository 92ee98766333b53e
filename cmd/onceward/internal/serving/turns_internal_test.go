package serving

import (
	"slices"
	"testing"
)

// The longest silent makes room, and nobody who is at work.
func TestTurns(t *testing.T) {
	t.Parallel()
	var gone []string
	set := turns{max: 3}
	enter := func(name string) *turn {
		t.Helper()
		in, ok := set.enter(func() { gone = append(gone, name) })
		if !ok {
			t.Fatalf("%s did not come in", name)
		}
		return in
	}
	a, b, c := enter("a"), enter("b"), enter("c")
	a.touch() // b, c, a
	d := enter("d")
	if want := []string{"b"}; !slices.Equal(gone, want) || b.alive() || b.begin() {
		t.Fatalf("made room: %v, want %v", gone, want)
	}
	if !c.begin() { // a, d
		t.Fatal("c, which is still there, cannot begin")
	}
	e := enter("e")
	if want := []string{"b", "a"}; !slices.Equal(gone, want) {
		t.Fatalf("made room: %v, want %v", gone, want)
	}
	if !d.begin() || !e.begin() {
		t.Fatal("who is there cannot begin")
	}
	if _, ok := set.enter(func() {}); ok {
		t.Fatal("somebody came in although all are at work")
	}
	d.end()
	c.end() // d, c
	c.leave()
	c.touch() // of one that has left
	enter("f")
	enter("g")
	if want := []string{"b", "a", "d"}; !slices.Equal(gone, want) {
		t.Fatalf("made room: %v, want %v", gone, want)
	}
}
