package channelx

import (
	"context"
	"net/http"

	"github.com/parley-im/parley/domain"
)

// clientRoutes are the client API, which knows contacts by what they were given
// (channelx.md 5).
func (d *Door) clientRoutes(mux *http.ServeMux) {
	d.public(mux, "GET ", d.clientGetInbox)
	d.public(mux, "POST /contacts", d.clientCreateContact)
	d.public(mux, "GET /contacts/{source_id}", d.clientGetContact)
	d.public(mux, "PATCH /contacts/{source_id}", d.clientChangeContact)
	d.public(mux, "PUT /contacts/{source_id}", d.clientChangeContact)

	const conversations = "/contacts/{source_id}/conversations"
	d.public(mux, "GET "+conversations, d.clientListConversations)
	d.public(mux, "POST "+conversations, d.clientCreateConversation)
	d.public(mux, "GET "+conversations+"/{conversation}", d.clientGetConversation)
	d.public(mux, "POST "+conversations+"/{conversation}/toggle_status", d.clientResolve)
	d.public(mux, "POST "+conversations+"/{conversation}/toggle_typing", d.clientType)
	d.public(mux, "POST "+conversations+"/{conversation}/update_last_seen", d.clientSee)

	const messages = conversations + "/{conversation}/messages"
	d.public(mux, "GET "+messages, d.clientListMessages)
	d.public(mux, "POST "+messages, d.clientCreateMessage)
	d.public(mux, "PATCH "+messages+"/{message}", d.clientSubmit)
	d.public(mux, "PUT "+messages+"/{message}", d.clientSubmit)
}

// contactOf is a contact of an inbox as the one who gives a command.
func (d *Door) contactOf(inbox domain.Channel) actor {
	account, _ := d.Directory.Account(inbox.Account)
	return actor{account: account, role: roleContact}
}

func (d *Door) clientGetInbox(_ context.Context, inbox domain.Channel, _ *request) (any, error) {
	return d.view.clientInbox(inbox), nil
}
