package onceward_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// An engine needs a store, and Run beside it to sweep and to recover. The
// memory store forgets everything with the process: use it for tests, and
// sqlitestore where a second effect would hurt.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- eng.Run(ctx) }()

	out, err := eng.Do(ctx, onceward.Request{Key: onceward.Key{Scope: "alice", Value: "order-1"}},
		func(context.Context, *onceward.Operation) (onceward.Response, error) {
			return onceward.Response{Status: http.StatusCreated, Body: []byte("ordered")}, nil
		})
	fmt.Printf("%d %s %v\n", out.Response.Status, out.Response.Body, err)

	stop()
	fmt.Println(<-done)
	// Output:
	// 201 ordered <nil>
	// <nil>
}

// The handler runs for the first request of a key; every retry gets the
// recorded answer, and another payload under the same key is refused.
func ExampleEngine_Do() {
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	payments := 0
	pay := func(amount string) {
		out, err := eng.Do(context.Background(), onceward.Request{
			Key:         onceward.Key{Scope: "alice", Value: "order-1"},
			Fingerprint: []byte(amount), // a real one is a hash of the request
		}, func(context.Context, *onceward.Operation) (onceward.Response, error) {
			payments++
			return onceward.Response{Body: fmt.Appendf(nil, "payment %d", payments)}, nil
		})
		if err != nil {
			fmt.Println("refused:", onceward.CodeOf(err))
			return
		}
		fmt.Printf("%s, replayed: %v\n", out.Response.Body, out.Replayed)
	}
	pay("100")
	pay("100")
	pay("999")
	// Output:
	// payment 1, replayed: false
	// payment 1, replayed: true
	// refused: key-reused
}

// bank is a provider that can be asked about a payment later.
type bank map[string]string

func (b bank) pay(reference string) { b[reference] = "paid" }

// A checkpoint is made before the effect. When the process dies after it, the
// Reconciler finds out what became of the effect; no client has to come back.
func ExampleReconciler() {
	ctx, provider := context.Background(), bank{}
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = eng.Register("payment", func(_ context.Context, op *onceward.Operation) (onceward.Verdict, error) {
		reference, sent := op.Recall("reference")
		if !sent || provider[string(reference)] == "" {
			return onceward.Verdict{Decision: onceward.NotApplied}, nil // the next request runs it
		}
		return onceward.Verdict{
			Decision: onceward.Completed,
			Response: onceward.Response{Body: []byte(provider[string(reference)])},
		}, nil
	})
	if err != nil {
		log.Fatal(err)
	}

	req := onceward.Request{
		Key: onceward.Key{Scope: "alice", Value: "order-1"}, Kind: "payment", Policy: onceward.Reconcile,
	}
	func() {
		defer func() { fmt.Println("the handler died:", recover()) }()
		_, _ = eng.Do(ctx, req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			reference := op.ID().String()
			if err := op.Checkpoint(ctx, "reference", []byte(reference)); err != nil {
				return onceward.Response{}, err // nothing was paid yet
			}
			provider.pay(reference)
			panic("killed before it could answer")
		})
	}()

	recovered, err := eng.Recover(ctx) // Run does this by itself
	fmt.Println("completed by recovery:", recovered.Completed, err)
	rec, err := eng.Get(ctx, req.Key)
	fmt.Printf("%s: %s %v, %d payment\n", rec.Status, rec.Response.Body, err, len(provider))
	// Output:
	// the handler died: killed before it could answer
	// completed by recovery: 1 <nil>
	// COMPLETED: paid <nil>, 1 payment
}

// A page that was refreshed has lost its key and makes a new one. The natural
// key names the vote itself, so that both are one operation.
func ExampleEngine_DoNatural() {
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	votes := 0
	vote := func(clientKey string) {
		req := onceward.Request{Key: onceward.Key{Scope: "alice", Value: clientKey}, Kind: "vote"}
		natural := onceward.NaturalKey("alice", "vote", "proposal-7")
		out, err := eng.DoNatural(context.Background(), req, natural,
			func(context.Context, *onceward.Operation) (onceward.Response, error) {
				votes++
				return onceward.Response{Body: fmt.Appendf(nil, "vote %d", votes)}, nil
			})
		fmt.Printf("%s, replayed: %v %v\n", out.Response.Body, out.Replayed, err)
	}
	vote("before-the-refresh")
	vote("after-the-refresh")
	// Output:
	// vote 1, replayed: false <nil>
	// vote 1, replayed: true <nil>
}

// Under Hold, what a crash leaves undecided waits for a person, and Resolve is
// the person's hand.
func ExampleEngine_Resolve() {
	ctx := context.Background()
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	req := onceward.Request{Key: onceward.Key{Scope: "alice", Value: "letter-1"}}
	send := func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		if err := op.Checkpoint(ctx, "posting", nil); err != nil {
			return onceward.Response{}, err
		}
		return onceward.Response{}, errors.New("the post office did not say whether it took the letter")
	}
	_, err = eng.Do(ctx, req, send)
	fmt.Println(onceward.CodeOf(err))

	rec, _ := eng.Get(ctx, req.Key)
	fmt.Println(rec.Status, "because", rec.Reason)

	// Somebody called the post office: it did.
	err = eng.Resolve(ctx, req.Key, onceward.Verdict{
		Decision: onceward.Completed, Response: onceward.Response{Body: []byte("sent")},
	})
	fmt.Println(err)
	out, err := eng.Do(ctx, req, send)
	fmt.Printf("%s, replayed: %v %v\n", out.Response.Body, out.Replayed, err)
	// Output:
	// outcome-unknown
	// HELD because the handler failed after a checkpoint: the post office did not say whether it took the letter
	// <nil>
	// sent, replayed: true <nil>
}

// A handler that knows better than its status code says so: this refusal is
// final, and every retry gets it instead of running again.
func ExampleOperation_Conclude() {
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		log.Fatal(err)
	}
	runs := 0
	for range 2 {
		out, err := eng.Do(context.Background(), onceward.Request{Key: onceward.Key{Value: "k"}},
			func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
				runs++
				op.Conclude(onceward.Completed, "")
				return onceward.Response{Status: http.StatusUnprocessableEntity, Body: []byte("rejected by the ledger")}, nil
			})
		fmt.Printf("%d %s %v\n", out.Response.Status, out.Response.Body, err)
	}
	fmt.Println("runs:", runs)
	// Output:
	// 422 rejected by the ledger <nil>
	// 422 rejected by the ledger <nil>
	// runs: 1
}

// Only time-ordered keys tell when they were made; such a key is refused once
// its answer may have been forgotten.
func ExampleKey_Time() {
	for _, value := range []string{"01932c07-209c-7401-b7ff-15bc0ef4ffbd", "01JCP0E84W0R0QFZZHBR7F9ZXX", "order-1"} {
		made, ok := onceward.Key{Value: value}.Time()
		if ok {
			fmt.Println(made.UTC().Format("2006-01-02"))
		} else {
			fmt.Println(value, "does not tell")
		}
	}
	// Output:
	// 2024-11-14
	// 2024-11-14
	// order-1 does not tell
}
