// Package httpapi is the HTTP server that everything hangs on, and the platform
// API under /v1.
//
// Server holds one mux. The dialects' doors register themselves on it; around
// the whole of it stands one guard that recovers panics, counts and times
// requests by route, bounds their bodies and their time, and answers what no
// route takes with a problem document.
//
// The platform API is described by the code itself: each operation is a typed
// function, and /v1/openapi.json and /docs are made from those types. Requests
// that only read are answered from the read models; requests that change
// something append to the log and never write rows. Every error of /v1 is an
// RFC 9457 problem document.
//
// What an account looks after its conversations with (queues, functions, agents
// and words) is named by channels and by each other. Such changes are made one at
// a time on a node, after everything that they name has been looked up: what breaks
// a rule by itself is 400, what does not fit what is there is 422, and what must
// not go because something names it is 409.
//
// Who calls is told by a bearer token. A token belongs to one account and has
// one role; things of another account do not exist for it.
package httpapi

//go:generate go test -run TestOpenAPIIsFresh -update .
