package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/idempotency"
	"github.com/gofiber/storage/redis/v3"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/bench/internal/stores"
	"github.com/onceward/onceward/oncehttp"
)

const path = "/v1/payments"

// payment is what the handlers read.
type payment struct {
	To       string `json:"to"`
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// answerBody has 512 bytes, as that of the Express servers.
var answerBody = []byte(`{"status":"created","note":"` + string(bytes.Repeat([]byte("x"), 482)) + `"}`)

// serve is a server under test, in a process of its own: serve KIND [ADDRESS].
func serve(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errors.New("serve needs the kind of server")
	}
	kind, address := args[0], ""
	if len(args) > 1 {
		address = args[1]
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, l.Addr())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the measuring program has gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	switch kind {
	case "net/http":
		return serveHTTP(ctx, l, http.HandlerFunc(pay))
	case "onceward":
		return serveGuarded(ctx, l, address)
	case "fiber":
		return serveFiber(ctx, l, nil)
	case "fiber-memory":
		return serveFiber(ctx, l, &idempotency.Config{})
	case "fiber-redis":
		return serveFiber(ctx, l, &idempotency.Config{Storage: redis.New(redis.Config{URL: address})})
	default:
		return fmt.Errorf("there is no server of kind %q", kind)
	}
}

func pay(w http.ResponseWriter, r *http.Request) {
	var p payment
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil || p.Amount == "" {
		http.Error(w, "amount", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answerBody) // the client has gone
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("POST "+path, h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// serveGuarded runs the engine as a service does, its sweeps included.
func serveGuarded(ctx context.Context, l net.Listener, address string) (err error) {
	store, err := stores.Open(ctx, address, stores.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	eng, err := onceward.New(store.Store, onceward.Config{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	once, err := oncehttp.New(eng, oncehttp.Options{Scope: oncehttp.SingleTenant, Kind: "payment"})
	if err != nil {
		return err
	}
	running := make(chan struct{})
	go func() {
		defer close(running)
		_ = eng.Run(ctx) // ends with ctx
	}()
	err = serveHTTP(ctx, l, once(http.HandlerFunc(pay)))
	<-running
	return err
}

// serveFiber guards with Fiber's middleware if there is a configuration.
func serveFiber(ctx context.Context, l net.Listener, guard *idempotency.Config) error {
	app := fiber.New()
	if guard != nil {
		guard.KeyHeader = oncehttp.DefaultHeader
		guard.Lifetime = 24 * time.Hour
		app.Use(idempotency.New(*guard))
	}
	app.Post(path, func(c fiber.Ctx) error {
		var p payment
		if err := c.Bind().JSON(&p); err != nil || p.Amount == "" {
			return fiber.ErrBadRequest
		}
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Status(fiber.StatusCreated).Send(answerBody)
	})
	return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true, GracefulContext: ctx})
}
