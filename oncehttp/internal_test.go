package oncehttp

import "testing"

// What is read back from a store may be anything.
func FuzzDiffering(f *testing.F) {
	h := hasher{}
	detail := func(text string) []byte {
		s := h.get()
		s.detail = append(make([]byte, 0), make([]byte, detailHead)...)
		s.detail[0] = detailVersion
		s.appendLeaves([]byte(text))
		return s.detail
	}
	f.Add(detail(`{"a":1,"b":[1,2]}`), detail(`{"a":2}`))
	f.Add([]byte{}, []byte{1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if names := differing(a, b); len(names) > maxDiffering {
			t.Fatal(len(names))
		}
	})
}

// The scanner must end, and stay inside, whatever it is given.
func FuzzScanner(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"c\"d"}],"e":null}`))
	f.Add([]byte(`{"a":`))
	f.Add([]byte("\"\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := hasher{}
		s := h.get()
		s.appendLeaves(data)
		if len(s.detail) > 16<<10-detailHead {
			t.Fatalf("%d bytes of detail", len(s.detail))
		}
		walkMembers(data, func(_ []byte, value span) {
			if value.from > value.to || value.to > len(data) {
				t.Fatal(value)
			}
		})
		if at, ok := lookup(data, "/a/0/b"); ok && len(at.of(data)) == 0 {
			t.Fatal("found nothing")
		}
	})
}
