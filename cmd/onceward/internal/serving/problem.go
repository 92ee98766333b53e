package serving

import (
	"net/http"

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
	Problems()[0].Problem().Write(w, withKey(r))
}
