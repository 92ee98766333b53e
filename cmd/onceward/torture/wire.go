package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is the network between one process and the database server.
type wire struct {
	c            *campaign
	name, server string

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

func newWire(c *campaign, process int, server string) (*wire, error) {
	w := &wire{c: c, name: fmt.Sprint("process ", process), server: server}
	return w, w.lay("127.0.0.1:0")
}

// lay lays a wire that is whole.
func (w *wire) lay(address string) error {
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(control, w.name, address, w.server)
	if err := p.Start(); err != nil {
		return fmt.Errorf("the network to the database: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy = p
	return nil
}

func (w *wire) current() *toxiproxy.Proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proxy
}

// address is where the process finds the server.
func (w *wire) address() string { return w.current().Listen }

func (w *wire) close() {
	_, _ = w.within(func() error { w.current().Stop(); return nil })
}

// patience with toxiproxy, which waits for every connection before it changes
// anything, and now and then for ever, for one whose ends are both gone.
const wirePatience = 5 * time.Second

// within runs f, and reports whether it came to an end.
func (w *wire) within(f func() error) (ended bool, err error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return true, err
	case <-time.After(wirePatience):
		return false, nil
	}
}

// replace gives up a proxy that hangs, connections and all, for a new one in
// the same place.
func (w *wire) replace(ctx context.Context) error {
	old := w.current()
	go old.Stop() // it closes the listener, and may then hang
	for {
		err := w.lay(old.Listen)
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// wireFault is a way in which a network fails. An empty kind cuts it;
// otherwise it is what toxiproxy calls it, towards the server (upstream) or
// the process (downstream).
type wireFault struct{ name, kind, stream, attributes string }

var wireFaults = []wireFault{
	{"connections cut", "", "", ""},
	{"reset on an answer", "reset_peer", "downstream", `{"timeout":0}`},
	{"reset on a request", "reset_peer", "upstream", `{"timeout":0}`},
	{"delay", "latency", "downstream", `{"latency":150,"jitter":150}`},
	{"half-open, answers vanish", "timeout", "downstream", `{"timeout":0}`},
	{"half-open, requests vanish", "timeout", "upstream", `{"timeout":0}`},
	{"an answer breaks off", "limit_data", "downstream", `{"bytes":1500}`},
	{"small pieces", "slicer", "downstream", `{"average_size":40,"size_variation":20,"delay":100}`},
}

// begin lets the wire fail; end mends it.
func (f wireFault) begin(p *toxiproxy.Proxy) error {
	if f.kind == "" {
		p.Stop()
		return nil
	}
	_, err := p.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(`{"name":"fault","type":%q,"stream":%q,"attributes":%s}`, f.kind, f.stream, f.attributes)))
	return err
}

func (f wireFault) end(ctx context.Context, p *toxiproxy.Proxy) error {
	if f.kind == "" {
		return p.Start()
	}
	return p.Toxics.RemoveToxic(ctx, "fault")
}

// suffer lets the wire fail again and again until ctx ends, now and then for
// longer than any call of the store may take.
func (w *wire) suffer(ctx context.Context) error {
	d := w.c.dice
	for ctx.Err() == nil {
		pause(ctx, d.between(500*time.Millisecond, 4*time.Second))
		if err := w.fail(ctx, pick(d, wireFaults)); err != nil {
			return err
		}
	}
	return nil
}

// fail lets the wire fail once, and mends it even when ctx ends meanwhile.
func (w *wire) fail(ctx context.Context, f wireFault) error {
	d, p := w.c.dice, w.current()
	began, err := w.within(func() error { return f.begin(p) })
	if err != nil {
		return fmt.Errorf("the network to the database: %s: %w", f.name, err)
	}
	w.c.faults.add("database: "+f.name, 1)
	long := 1500 * time.Millisecond
	if d.percent(10) {
		long = 8 * time.Second
	}
	pause(ctx, d.between(50*time.Millisecond, long))
	ended := false
	if ctx = context.WithoutCancel(ctx); began {
		if ended, err = w.within(func() error { return f.end(ctx, p) }); err != nil {
			return fmt.Errorf("the network to the database: ending %s: %w", f.name, err)
		}
	}
	if !ended {
		return w.replace(ctx)
	}
	return nil
}
