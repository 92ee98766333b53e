package openapi

// policyType is the form of a problem's type.
const policyType = "^/idempotency-policy#[a-z-]+$"

func baseSchemas() object {
	text := object{"type": "string"}
	return object{
		"Problem": object{
			"type": "object", "description": "An error, as RFC 9457 has it.",
			"required": []string{"type", "title", "status", "detail", "instance", "code", "retryable"},
			"properties": object{
				"type":     object{"type": "string", "pattern": policyType, "description": "The code on the policy page."},
				"title":    object{"type": "string", "minLength": 1, "description": "The same for every problem of a code."},
				"status":   object{"type": "integer", "minimum": 400, "maximum": 599},
				"detail":   object{"type": "string", "minLength": 1, "description": "What happened, and what to do next."},
				"instance": object{"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$", "description": "That of the operation, or of this answer alone."},
				"code":     text,
				"retryable": object{
					"type": "boolean", "description": "The same request, sent again after Retry-After, may get an answer.",
				},
				"idempotency_key": object{
					"type": "string", "minLength": 1, "maxLength": 255,
					"description": "The key of the request, when it had a valid one. What failed on the ledger names its operation instead.",
				},
				"limit": object{"enum": []string{"requests", "in-flight", "stored"}, "description": "rate-limited: which quota."},
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
				"result":       object{"description": "What the contract returned."},
				"contract_error": object{
					"type": "object", "required": []string{"code"},
					"properties": object{"code": object{"type": "integer"}, "name": text},
				},
				"reason":       text,
				"created_at":   object{"type": "string", "format": "date-time"},
				"completed_at": object{"type": "string", "format": "date-time"},
				"expires_at":   object{"type": "string", "format": "date-time"},
				"attempts": object{"type": "array", "items": object{
					"type": "object", "required": []string{"attempt", "tx_hash", "channel", "sequence", "outcome"},
					"properties": object{
						"attempt": object{"type": "integer"}, "tx_hash": text, "channel": text, "sequence": text,
						"max_ledger": object{"type": "integer", "description": "Absent when only time bounds it."}, "outcome": text,
					},
				}},
			},
		},
	}
}
