// Package webhook tells another system how operations ended: one signed POST
// for each final outcome, at least once, under one id.
//
//	box, err := webhook.New(store, webhook.Config{Name: "billing", URL: "https://…", Secrets: []string{"whsec_…"}})
//	go box.Run(ctx)
//	…
//	err = box.Enqueue(ctx, webhook.Event{ID: …, Type: "operation.succeeded", Data: …})
//
// # The outbox
//
// A message is a record of the same store as everything else, in a scope of
// the library's own: no further table, and as durable as the operation. It is
// STARTED until it is delivered, its lease ends when it is due, COMPLETED once
// the receiver said 2xx, and HELD, for a person, when its attempts are used up.
// Enqueue returns after the record is stored. Call it before the operation is
// recorded as completed, and report its error instead of the outcome: then no
// outcome is ever acknowledged without its message, whatever crashes. Enqueuing
// the same id again changes nothing, so that a recovered operation may do it.
//
// # The message
//
// It follows Standard Webhooks: webhook-id, webhook-timestamp and
// webhook-signature (v1, HMAC-SHA256). The id and the body are the same at
// every attempt. Receivers must drop ids that they have seen: a crash between
// the receiver's answer and its record delivers again.
//
// # What is not guaranteed
//
// Order. And that a receiver that refuses for longer than the attempts last
// learns of it without a person: see Queue.List and Queue.Redeliver.
package webhook
