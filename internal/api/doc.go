// Package api is the HTTP door: the API under /api/v1 with its OpenAPI 3.1
// document, the event stream, and the git remote beside it. Nothing answers
// without a credential. Handlers translate between the wire types of client and
// what controller, store and node know; they decide nothing.
package api
