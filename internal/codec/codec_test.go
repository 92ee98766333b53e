package codec_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, h := range []map[string][]string{nil, {}, {"A": nil}, {"A": {""}}, {"A": {"b", "\xff\x00"}, "": {"x"}}} {
		got, err := codec.DecodeHeader(codec.EncodeHeader(h))
		if err != nil || (got == nil) != (h == nil) || !maps.EqualFunc(got, h, slices.Equal[[]string]) {
			t.Errorf("%q came back as %q, %v", h, got, err)
		}
	}
	at := time.UnixMicro(1_700_000_000_123_456).UTC()
	cps := []onceward.Checkpoint{{Name: "sent", Data: []byte("x\x00"), At: at}, {Name: "é", Data: []byte{}, At: at.Add(-time.Hour)}}
	got, err := codec.DecodeCheckpoints(codec.EncodeCheckpoints(cps))
	if err != nil || !reflect.DeepEqual(got, cps) {
		t.Errorf("%+v came back as %+v, %v", cps, got, err)
	}
}

// FuzzDecode: damage is an error, and what is accepted is the same when it is
// written again.
func FuzzDecode(f *testing.F) {
	f.Add(codec.EncodeHeader(map[string][]string{"A": {"b", "c"}}))
	f.Add(codec.EncodeCheckpoints([]onceward.Checkpoint{{Name: "a", Data: []byte("b"), At: time.UnixMicro(1)}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := codec.DecodeHeader(b); err == nil {
			again, err := codec.DecodeHeader(codec.EncodeHeader(h))
			if err != nil || !maps.EqualFunc(again, h, slices.Equal[[]string]) {
				t.Fatalf("%q became %q, %v", h, again, err)
			}
		}
		if cps, err := codec.DecodeCheckpoints(b); err == nil {
			again, err := codec.DecodeCheckpoints(codec.EncodeCheckpoints(cps))
			if err != nil || len(again) != len(cps) {
				t.Fatalf("%+v became %+v, %v", cps, again, err)
			}
		}
	})
}
