package openapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/onceward/onceward/oncehttp"
)

// baseHeaders are those that the gateway adds to answers.
func baseHeaders() object {
	return object{
		oncehttp.HeaderReplayed: object{
			"description": "true on an answer that an earlier request recorded.", "schema": object{"const": "true"},
		},
		oncehttp.HeaderExpires: object{
			"description": "Until when the answer is kept, an HTTP date.", "schema": object{"type": "string"},
		},
		"Link": object{
			"description": "The idempotency policy, with rel=describedby.", "schema": object{"type": "string"},
		},
		"Retry-After": object{
			"description": "Seconds after which the same request may get an answer.", "schema": object{"type": "integer", "minimum": 1},
		},
	}
}

func baseSchemas() object {
	text := object{"type": "string"}
	return object{
		"Problem": object{
			"type": "object", "description": "An error, as RFC 9457 has it.",
			"required": []string{"type", "title", "status", "code", "retryable"},
			"properties": object{
				"type":            object{"type": "string", "format": "uri-reference"},
				"title":           text,
				"status":          object{"type": "integer", "minimum": 400, "maximum": 599},
				"detail":          text,
				"instance":        object{"type": "string", "format": "uri-reference"},
				"code":            text,
				"retryable":       object{"type": "boolean", "description": "The same request, sent again, may get an answer."},
				"idempotency_key": text,
				"differing": object{
					"type": "array", "items": text, "description": "key-reused: the parts that differ, as JSON Pointers or by name.",
				},
				"original_status": object{"type": "integer", "description": "response-unavailable: the status that was answered."},
				"backend_status":  object{"type": "integer", "description": "backend-error: the backend's own status."},
				"operation_id":    object{"type": "string", "format": "uuid"},
				"tx_hash":         text,
				"ledger":          object{"type": "integer"},
				"contract_error": object{
					"type": "object", "required": []string{"code"},
					"properties": object{"code": object{"type": "integer"}, "name": text},
				},
				"errors": object{"type": "array", "items": object{
					"type": "object", "required": []string{"pointer", "detail"},
					"properties": object{"pointer": text, "expected": text, "detail": text},
				}},
			},
		},
		"Operation": object{
			"type": "object", "description": "What is known of one operation.",
			"required": []string{"operation_id", "status", "kind", "attempts", "created_at"},
			"properties": object{
				"operation_id": object{"type": "string", "format": "uuid"},
				"status":       object{"enum": []string{"PENDING", "SUCCEEDED", "FAILED", "HELD"}},
				"kind":         text,
				"tx_hash":      text,
				"ledger":       object{"type": "integer"},
				"result":       object{},
				"contract_error": object{
					"type": "object", "required": []string{"code"},
					"properties": object{"code": object{"type": "integer"}, "name": text},
				},
				"reason":       text,
				"created_at":   object{"type": "string", "format": "date-time"},
				"completed_at": object{"type": "string", "format": "date-time"},
				"expires_at":   object{"type": "string", "format": "date-time"},
				"attempts": object{"type": "array", "items": object{
					"type": "object", "required": []string{"attempt", "tx_hash", "channel", "sequence", "max_ledger", "outcome"},
					"properties": object{
						"attempt": object{"type": "integer"}, "tx_hash": text, "channel": text, "sequence": text,
						"max_ledger": object{"type": "integer"}, "outcome": text,
					},
				}},
			},
		},
	}
}

// responses describes the answer that is expected, if any, and all problems
// by their status.
func responses(problems []oncehttp.ProblemType, status int, expected object) object {
	out := make(object)
	if expected != nil {
		out[strconv.Itoa(status)] = expected
	}
	byStatus := make(map[int][]oncehttp.ProblemType)
	for _, t := range problems {
		known := slices.ContainsFunc(byStatus[t.Status], func(o oncehttp.ProblemType) bool { return o.Code == t.Code })
		if !known {
			byStatus[t.Status] = append(byStatus[t.Status], t)
		}
	}
	for status, types := range byStatus {
		codes, examples, text := []string{}, object{}, ""
		headers := object{"Link": object{"$ref": "#/components/headers/Link"}}
		for _, t := range types {
			codes = append(codes, string(t.Code))
			text += "- `" + string(t.Code) + "`: " + t.Title + ". " + t.Detail + "\n"
			examples[string(t.Code)] = object{"value": object{
				"type": oncehttp.DefaultPolicyURL + "#" + string(t.Code), "title": t.Title, "status": t.Status,
				"detail": t.Detail, "code": t.Code, "retryable": t.Retryable,
			}}
			if t.Retryable {
				headers["Retry-After"] = object{"$ref": "#/components/headers/Retry-After"}
			}
		}
		out[strconv.Itoa(status)] = object{
			"description": http.StatusText(status) + "\n\n" + text, "headers": headers,
			"content": object{mediaProblem: object{
				"schema": object{
					"allOf":      []object{{"$ref": "#/components/schemas/Problem"}},
					"properties": object{"code": object{"enum": codes}},
				},
				"examples": examples,
			}},
		}
	}
	return out
}
