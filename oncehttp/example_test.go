package oncehttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

// post sends a JSON body with a bearer token and a key, and says what came back.
func post(h http.Handler, path, token, key, body string) string {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)) //nolint:noctx // an example is its own process
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", `"`+key+`"`)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var problem struct{ Code string }
	if w.Header().Get("Content-Type") == "application/problem+json" && json.Unmarshal(w.Body.Bytes(), &problem) == nil {
		return fmt.Sprintf("%d %s", w.Code, problem.Code)
	}
	return fmt.Sprintf("%d %s, replayed: %v", w.Code, w.Body, w.Header().Get(oncehttp.HeaderReplayed) == "true")
}

// exampleEngine is an engine on a store that lasts as long as the example.
func exampleEngine() *onceward.Engine {
	eng, err := onceward.New(memstore.New(), onceward.Config{MaxResponseBytes: 64})
	if err != nil {
		log.Fatal(err)
	}
	return eng
}

// The middleware runs the handler once for a key. A server whose requests are
// all of one principal says so with SingleTenant.
func ExampleNew() {
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{Scope: oncehttp.SingleTenant})
	if err != nil {
		log.Fatal(err)
	}
	orders := 0
	mux := http.NewServeMux()
	mux.Handle("POST /v1/orders", once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		orders++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "order %d", orders)
	})))
	fmt.Println(post(mux, "/v1/orders", "", "a", `{"item":"tea"}`))
	fmt.Println(post(mux, "/v1/orders", "", "a", `{"item":"tea"}`))
	fmt.Println(post(mux, "/v1/orders", "", "a", `{"item":"coffee"}`))
	fmt.Println(post(mux, "/v1/orders", "", "b", `{"item":"tea"}`))
	// Output:
	// 201 order 1, replayed: false
	// 201 order 1, replayed: true
	// 422 key-reused
	// 201 order 2, replayed: false
}

// Scope names the authenticated principal: equal keys of two customers are two
// operations, and nobody is answered who is nobody.
func ExampleOptions_scope() {
	principals := map[string]string{"token-of-ann": "ann", "token-of-bob": "bob"}
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{
		Scope: func(r *http.Request) (string, error) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if name, ok := principals[token]; ok {
				return name, nil
			}
			return "", errors.New("unknown token") // logged, not shown: the answer is 401
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	orders := 0
	h := once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		orders++
		fmt.Fprintf(w, "order %d", orders)
	}))
	fmt.Println(post(h, "/", "token-of-ann", "k", "{}"))
	fmt.Println(post(h, "/", "token-of-bob", "k", "{}"))
	fmt.Println(post(h, "/", "guessed", "k", "{}"))
	// Output:
	// 200 order 1, replayed: false
	// 200 order 2, replayed: false
	// 401 unauthorized
}

// A refreshed page has lost its key. The natural key is derived from the
// operation itself, so that its new key changes nothing.
func ExampleOptions_naturalKey() {
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{
		Scope: oncehttp.SingleTenant,
		Kind:  "vote",
		NaturalKey: func(_ *http.Request, body []byte) ([]string, error) {
			var vote struct{ Voter, Proposal string }
			if err := json.Unmarshal(body, &vote); err != nil {
				return nil, errors.New("a vote is a JSON object")
			}
			return []string{vote.Voter, vote.Proposal}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	votes := 0
	h := once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		votes++
		fmt.Fprintf(w, "vote %d", votes)
	}))
	fmt.Println(post(h, "/v1/votes", "", "before", `{"voter":"ann","proposal":"7","support":true}`))
	fmt.Println(post(h, "/v1/votes", "", "after", `{"voter":"ann","proposal":"7","support":true}`))
	fmt.Println(post(h, "/v1/votes", "", "changed", `{"voter":"ann","proposal":"7","support":false}`))
	// Output:
	// 200 vote 1, replayed: false
	// 200 vote 1, replayed: true
	// 422 key-reused
}

// An answer that is streamed reaches its first client and cannot be kept: a
// retry hears that it is gone, and the handler is not run again.
func ExampleNew_streaming() {
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{Scope: oncehttp.SingleTenant})
	if err != nil {
		log.Fatal(err)
	}
	h := once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "row %d ", i)
			// The record is durable before the first byte leaves.
			if err := http.NewResponseController(w).Flush(); err != nil {
				return // it could not be recorded, so nothing may be sent
			}
		}
	}))
	fmt.Println(post(h, "/v1/exports", "", "k", "{}"))
	fmt.Println(post(h, "/v1/exports", "", "k", "{}"))
	// Output:
	// 200 row 0 row 1 row 2 , replayed: false
	// 409 response-unavailable
}

// Inside a guarded handler FromContext gives the operation. After a checkpoint
// an error does not free the key: something may have happened.
func ExampleNew_checkpoint() {
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{Scope: oncehttp.SingleTenant})
	if err != nil {
		log.Fatal(err)
	}
	h := once(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		if err := op.Checkpoint(r.Context(), "charging", nil); err != nil {
			oncehttp.Fail(r, err)
			return
		}
		// … the card is charged here, and the connection breaks …
		w.WriteHeader(http.StatusBadGateway)
	}))
	fmt.Println(post(h, "/v1/charges", "", "k", "{}"))
	fmt.Println(post(h, "/v1/charges", "", "k", "{}"))
	// Output:
	// 409 outcome-unknown
	// 409 outcome-unknown
}

// Fail ends the operation with an error of its own, and frees the key.
func ExampleFail() {
	once, err := oncehttp.New(exampleEngine(), oncehttp.Options{Scope: oncehttp.SingleTenant})
	if err != nil {
		log.Fatal(err)
	}
	stock := 0
	h := once(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stock == 0 {
			oncehttp.Fail(r, &oncehttp.Problem{Code: "sold-out", Status: http.StatusConflict, Title: "Sold out", Retryable: true})
			return
		}
		fmt.Fprint(w, "yours")
	}))
	fmt.Println(post(h, "/v1/orders", "", "k", "{}"))
	stock = 1
	fmt.Println(post(h, "/v1/orders", "", "k", "{}"))
	// Output:
	// 409 sold-out
	// 200 yours, replayed: false
}

// The header's two spellings are one key.
func ExampleParseKey() {
	for _, value := range []string{`"abc"`, `abc`, `"abc";v=1`, `a b`} {
		key, err := oncehttp.ParseKey(value, false)
		fmt.Printf("%q %v\n", key, err)
	}
	// Output:
	// "abc" <nil>
	// "abc" <nil>
	// "abc" <nil>
	// "" onceward: invalid key: character 2 is not visible ASCII
}

// Canonical form makes one text of two spellings, and refuses what it would
// have to change.
func ExampleCanonical() {
	for _, text := range []string{`{"b": 1.0, "a": "\u0078"}`, `{"n": 9007199254740993}`, `{"a":1,"a":2}`} {
		canonical, err := oncehttp.Canonical([]byte(text))
		if err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println(string(canonical))
	}
	// Output:
	// {"a":"x","b":1}
	// refused: the JSON number 9007199254740993 has more digits than a double keeps; send it as a string
	// refused: the JSON has the member "a" twice
}
