package ha_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// wire is a network that can fail, between a store and its server.
type wire struct{ proxy *toxiproxy.Proxy }

func newWire(t *testing.T, upstream string) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &wire{p}
}

// fault is a way in which a network fails. It returns how to end it.
type fault struct {
	name  string
	begin func(ctx context.Context, w *wire) (end func() error, err error)
}

// toxic fails in the way that toxiproxy calls by a name, towards the server
// (upstream) or the client (downstream).
func toxic(kind, direction, attributes string) func(context.Context, *wire) (func() error, error) {
	return func(ctx context.Context, w *wire) (func() error, error) {
		_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(
			fmt.Sprintf(`{"name":"fault","type":%q,"stream":%q,"attributes":%s}`, kind, direction, attributes)))
		return func() error { return w.proxy.Toxics.RemoveToxic(ctx, "fault") }, err
	}
}

func faults() []fault {
	return []fault{
		{"cut", func(_ context.Context, w *wire) (func() error, error) {
			w.proxy.Stop()
			return w.proxy.Start, nil
		}},
		{"reset on an answer", toxic("reset_peer", "downstream", `{"timeout":0}`)},
		{"reset on a request", toxic("reset_peer", "upstream", `{"timeout":0}`)},
		{"delay", toxic("latency", "downstream", `{"latency":40,"jitter":40}`)},
		{"answers never arrive", toxic("timeout", "downstream", `{"timeout":0}`)},
		{"requests never arrive", toxic("timeout", "upstream", `{"timeout":0}`)},
		{"an answer breaks off", toxic("limit_data", "downstream", `{"bytes":1500}`)},
		{"small pieces", toxic("slicer", "downstream", `{"average_size":20,"size_variation":10,"delay":100}`)},
	}
}

// TestTortureWireFaults: connections to the server are cut, delayed and left
// half-open, in an order drawn from a seed, while clients compete through two
// stores. Whoever repeats what it got no answer to sees one consistent history.
func TestTortureWireFaults(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	direct := pgtest.Database(t)
	if err := postgres.Migrate(t.Context(), connect(t, direct), postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf("127.0.0.1:%d", pgtest.Shared(t).Port)
	wires := []*wire{newWire(t, target), newWire(t, target)}
	var stores []*postgres.Store
	for i, w := range wires {
		pool := connect(t, strings.Replace(direct, target, w.proxy.Listen, 1))
		// One of them answers from its cache, too.
		stores = append(stores, open(t, pool, postgres.Config{WriteTimeout: time.Second, CacheBytes: -i}))
	}
	r := compete(t.Context(), seed, stores[0], stores[1])
	r.awaitRounds(t, 2)
	all := faults()
	for turn, i := range append(rnd.Perm(len(all)), rnd.Perm(len(all))...) {
		w := wires[turn%len(wires)]
		end, err := all[i].begin(t.Context(), w)
		if err != nil {
			t.Fatalf("%s: %v", all[i].name, err)
		}
		<-time.After(time.Duration(100+rnd.IntN(400)) * time.Millisecond) // however much happens meanwhile
		if err := end(); err != nil {
			t.Fatalf("%s: %v", all[i].name, err)
		}
		r.awaitRounds(t, 2)
	}
	r.check(t)
	if r.retries.Load() == 0 {
		t.Logf("seed %d: the stores hid every fault from their callers", seed)
	}
}
