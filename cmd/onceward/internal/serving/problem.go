package serving

import (
	"net/http"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// CodeBusy is a request that there was no place for.
const CodeBusy onceward.Code = "busy"

// Problems lists what a server answers in front of its handler.
func Problems() []oncehttp.ProblemType {
	return []oncehttp.ProblemType{{
		Code: CodeBusy, Status: http.StatusServiceUnavailable, Title: "The server is busy", Retryable: true,
		Detail: "Nothing was done. Send the request again with the same key.",
	}}
}

// withKey notes the key of a request whose route is not known yet, where most
// routes have it.
func withKey(r *http.Request) *http.Request {
	return oncehttp.WithKey(r, oncehttp.Options{Methods: []string{r.Method}})
}

// refuse answers a request that there is no place for.
func refuse(w http.ResponseWriter, r *http.Request) {
	t := Problems()[0]
	p := &oncehttp.Problem{
		Code: t.Code, Status: t.Status, Title: t.Title, Detail: t.Detail, Retryable: t.Retryable, RetryAfter: time.Second,
	}
	p.Write(w, withKey(r))
}
