// Package channelx is the API channel of ChannelX, which is Chatwoot's on the wire
// (channelx.md): the application API, the client API, the callbacks and the
// WebSocket at /cable.
//
// A request is read whatever its encoding is (params), its caller found (caller),
// and turned into a command of the desk. The desk decides under a lock on what it
// decides about: it reads the rows, appends events that carry the state after
// them, waits until the rows have them, and answers from there. So the next
// request sees what this one did, on whichever node it comes in. What callbacks
// and sockets tell is rendered from the events alone.
package channelx
