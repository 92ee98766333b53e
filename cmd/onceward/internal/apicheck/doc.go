// Package apicheck holds what a server takes and answers against its OpenAPI
// 3.1 description. It is for tests.
//
// # What is guaranteed
//
// A document must be valid by the schema that the OpenAPI Initiative publishes.
// An exchange passes if its path and method are described, the status of its
// answer is, the media type and every required header, and if the body and the
// headers are valid by their schemas, in the judgement of an independent
// validator of JSON Schema. Problems of the gateway itself must link to the
// policy page, and say when to come back if they are retryable. A request
// without a route must be answered as the components NotFound or
// MethodNotAllowed have it.
//
// # What is not guaranteed
//
// Bodies that are not JSON are not looked into, nor are headers that are not
// described. Only the parts of OpenAPI that package openapi writes are known.
package apicheck
