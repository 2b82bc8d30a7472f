// Package channelx is the API channel of ChannelX, which is Chatwoot's on the wire
// (channelx.md): the application API, the client API, the callbacks and the
// WebSocket at /cable.
//
// A request comes in at the [Door] (door.go, route.go), which finds its caller
// (caller.go), or the inbox of a contact (client_*.go), and reads what it says
// whatever its encoding is (params.go). Reads are answered from the rows. All else
// is a command of the desk (desk.go and desk_*.go, one file for what a command is
// about). The desk decides under locks on what it decides about: it waits until the
// rows have all that the log has, reads them, appends events that carry the state
// after them, waits until the rows have these, and answers from there. So the next
// request sees what this one did, on whichever node it comes in.
//
// What others are told is rendered from those events (view*.go): by [Outbound],
// through which the delivery worker calls inboxes and webhooks (outbound.go,
// outcome.go), and by the cable, which follows the log and shows each event to the
// sockets of its node (cable_teller.go to cable_socket.go). Who is online is in no
// event: the roll keeps it (cable_roll.go).
//
// The platform API comes to the same desk, by way of [Platform].
package channelx
