package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

const tagDeliveries = "Deliveries"

// deliveryView is a delivery as the API shows it.
type deliveryView struct {
	ID             uuid.UUID            `json:"id" format:"uuid"`
	ChannelID      string               `json:"channel_id"`
	ConversationID uuid.UUID            `json:"conversation_id" format:"uuid"`
	Kind           domain.DeliveryKind  `json:"kind" enum:"message,close,function,subscription,notice" doc:"What it tells: a message or a close to the channel's callback, what the contact wrote to a function, an event to a subscription, or a notice to the callback or a webhook of channelx."`
	Target         string               `json:"target" doc:"The endpoint that it goes to: the channel, <channel>#<function>, sub~<subscription>, or hook~<account>~<number> for a webhook of channelx."`
	Function       int64                `json:"function_id,omitempty" doc:"The function that it goes to."`
	Subscription   string               `json:"subscription_id,omitempty" doc:"The subscription that it goes to."`
	EventID        uuid.UUID            `json:"event_id,omitzero" format:"uuid" doc:"The event that a subscription is told."`
	EventType      string               `json:"event_type,omitempty" doc:"Its stored name; for a notice what it tells, such as message_created."`
	MessageID      uuid.UUID            `json:"message_id,omitzero" format:"uuid" doc:"The message that it brings; absent for a close."`
	CloseReason    domain.CloseReason   `json:"close_reason,omitempty" enum:"agent,bot,timeout,unknown" doc:"Of a close."`
	ContactRef     string               `json:"contact_ref"`
	State          domain.DeliveryState `json:"state" enum:"pending,retrying,delivered,dead,dropped" doc:"dead is a dead letter: it can be redriven or dropped."`
	Parked         bool                 `json:"parked" doc:"Later messages of the conversation wait behind this dead letter."`
	AttemptCount   int                  `json:"attempt_count" doc:"Calls made, all of them."`
	LastReason     domain.Reason        `json:"last_reason,omitempty"`
	LastDetail     string               `json:"last_detail,omitempty" doc:"What the last call came to, for people."`
	CreatedAt      time.Time            `json:"created_at"`
	FirstTriedAt   *time.Time           `json:"first_tried_at" doc:"Since it was made or last redriven."`
	NextAttemptAt  *time.Time           `json:"next_attempt_at"`
	SettledAt      *time.Time           `json:"settled_at" doc:"When it was delivered or became a dead letter."`
	Position       string               `json:"position" doc:"Of the outbound event in the log: partition:offset."`
	Attempts       []attemptView        `json:"attempts,omitempty" nullable:"false" doc:"Oldest first; only where one delivery is read."`
	Request        *callView            `json:"request,omitempty" doc:"What a call says, made up as of now; only where one delivery is read."`
	RequestMissing string               `json:"request_missing,omitempty" doc:"Why there is no request to show, such as that the channel was deleted; nothing would be sent."`
}

// callView is the call that tells a delivery. Nothing secret is in it.
type callView struct {
	Method        string       `json:"method"`
	URL           string       `json:"url" doc:"Without the user and the values of its query; … stands for them."`
	Headers       []headerView `json:"headers" nullable:"false"`
	Body          string       `json:"body" doc:"At most 64 KiB; … stands for tokens in it."`
	BodyTruncated bool         `json:"body_truncated" doc:"The body is longer than what is shown."`
}

// headerView is one header of a call.
type headerView struct {
	Name  string `json:"name"`
	Value string `json:"value" doc:"… where it is a credential or a signature, or may be one."`
}

// attemptView is one call to a callback.
type attemptView struct {
	Number     int            `json:"number"`
	StartedAt  time.Time      `json:"started_at"`
	DurationMS int64          `json:"duration_ms"`
	Verdict    domain.Verdict `json:"verdict" enum:"delivered,retry,refused,exhausted"`
	Reason     domain.Reason  `json:"reason"`
	HTTPStatus int            `json:"http_status,omitempty"`
	Detail     string         `json:"detail,omitempty" doc:"What it came to, for people; where there was no answer, with the cause."`
	Response   string         `json:"response,omitempty" doc:"The body of the answer, decompressed, at most 64 KiB; kept when it did not deliver. What is no text is described, as (binary, 512 bytes)."`
}

func showDelivery(d domain.Delivery) deliveryView {
	message := d.MessageID
	if d.Kind == domain.DeliverFunction {
		message = d.Subject.Inbound
	}
	var told domain.Told
	if d.Subject.Told != nil {
		told = *d.Subject.Told
	}
	if d.Subject.Notice != nil {
		told.Type = d.Subject.Notice.Name
	}
	return deliveryView{
		Subscription: d.Subject.Subscription, EventID: told.Event, EventType: told.Type,
		Kind: d.Kind, Target: d.Target(), Function: d.Subject.Function, CloseReason: d.Subject.Reason,
		ID: d.ID, ChannelID: d.Channel, ConversationID: d.Conversation, MessageID: message, ContactRef: d.ContactRef,
		State: d.State, Parked: d.Parked, AttemptCount: d.Attempts, LastReason: d.LastReason, LastDetail: d.LastDetail,
		CreatedAt: d.CreatedAt, FirstTriedAt: d.FirstTriedAt, NextAttemptAt: d.NextAttemptAt, SettledAt: d.SettledAt,
		Position: formatPosition(d.Position),
	}
}

func showAttempt(a domain.Attempt) attemptView {
	return attemptView{
		Number: a.Number, StartedAt: a.StartedAt, DurationMS: a.Duration.Milliseconds(), Verdict: a.Verdict, Reason: a.Reason,
		HTTPStatus: a.HTTPStatus, Detail: a.Detail, Response: a.Response,
	}
}

// showRequest shows what is sent for a delivery, or why nothing would be.
func (p *platform) showRequest(d domain.Delivery) (*callView, string) {
	call, truncated, missing := p.Previewer.Preview(d)
	if missing != "" {
		return nil, missing
	}
	view := callView{Method: call.Method, URL: call.URL, Headers: make([]headerView, len(call.Headers)), Body: string(call.Body), BodyTruncated: truncated}
	for i, h := range call.Headers {
		view.Headers[i] = headerView(h)
	}
	return &view, ""
}

// DeliveryPath names a delivery.
type DeliveryPath struct {
	ID string `path:"id" doc:"The delivery's id."`
}

func (p *platform) deliveryRoutes() {
	handle(p, operation{
		id: "list-deliveries", method: http.MethodGet, path: "/v1/deliveries", tag: tagDeliveries, need: domain.RoleReader,
		summary: "List deliveries", description: "Newest first. state=dead lists the dead letters.",
	}, p.listDeliveries)
	handle(p, operation{
		id: "get-delivery", method: http.MethodGet, path: "/v1/deliveries/{id}", tag: tagDeliveries, need: domain.RoleReader,
		summary:     "Read a delivery with its request and its attempts",
		description: "The request is made up as a call is, of the channel's settings as they are now; times and signatures are those of each call.",
	}, p.getDelivery)
	handle(p, operation{
		id: "redrive-delivery", method: http.MethodPost, path: "/v1/deliveries/{id}/redrive", tag: tagDeliveries, need: domain.RoleAdmin,
		summary: "Send a dead letter after all", status: http.StatusAccepted,
		description: "It is tried from the beginning of its schedule, under the same ids as before; " +
			"what waits behind it follows in order. 409 when it is not dead.",
	}, p.redrive)
	handle(p, operation{
		id: "drop-delivery", method: http.MethodPost, path: "/v1/deliveries/{id}/drop", tag: tagDeliveries, need: domain.RoleAdmin,
		summary: "Give a dead letter up", status: http.StatusAccepted,
		description: "What waits behind it goes on. 409 when it is not dead.",
	}, p.drop)
}

func (p *platform) listDeliveries(ctx context.Context, c caller, in *struct {
	ReadParams
	PageParams
	State   string `query:"state" enum:"pending,retrying,delivered,dead,dropped" doc:"Only deliveries in this state."`
	Channel string `query:"channel" maxLength:"64" doc:"Only deliveries of this channel."`
	Kind    string `query:"kind" enum:"message,close,function,subscription,notice" doc:"Only deliveries of this kind."`
},
) (*listOutput[deliveryView], error) {
	headers, err := p.await(ctx, projectionDeliveries, in.ReadParams)
	if err != nil {
		return nil, err
	}
	part, next, err := p.Deliveries.Deliveries(ctx, domain.DeliveryFilter{
		Account: c.Account, Channel: in.Channel, State: domain.DeliveryState(in.State), Kind: domain.DeliveryKind(in.Kind),
	}, in.page())
	if err != nil {
		return nil, err
	}
	return &listOutput[deliveryView]{ReadHeaders: headers, Body: listOf(part, next, showDelivery)}, nil
}

func (p *platform) getDelivery(ctx context.Context, c caller, in *struct {
	ReadParams
	DeliveryPath
},
) (*struct {
	ReadHeaders
	Body deliveryView
}, error,
) {
	id, err := parseID("delivery", in.ID)
	if err != nil {
		return nil, err
	}
	headers, err := p.await(ctx, projectionDeliveries, in.ReadParams)
	if err != nil {
		return nil, err
	}
	d, attempts, err := p.Deliveries.Delivery(ctx, c.Account, id)
	if err != nil {
		return nil, err
	}
	full := showDelivery(d)
	full.Attempts = make([]attemptView, len(attempts))
	for i, a := range attempts {
		full.Attempts[i] = showAttempt(a)
	}
	full.Request, full.RequestMissing = p.showRequest(d)
	return &struct {
		ReadHeaders
		Body deliveryView
	}{headers, full}, nil
}

type changedDelivery struct {
	AppendHeaders
	Body deliveryView
}

func (p *platform) redrive(ctx context.Context, c caller, in *struct {
	DeliveryPath
	KeyParam
},
) (*changedDelivery, error) {
	return p.settleDelivery(ctx, c, in.ID, domain.Delivery.Redrive)
}

func (p *platform) drop(ctx context.Context, c caller, in *struct {
	DeliveryPath
	KeyParam
},
) (*changedDelivery, error) {
	return p.settleDelivery(ctx, c, in.ID, domain.Delivery.Drop)
}

// settleDelivery appends a decision about a dead letter and shows it as it is then.
func (p *platform) settleDelivery(ctx context.Context, c caller, text string, decide func(domain.Delivery, string, time.Time) (domain.Event, error)) (*changedDelivery, error) {
	id, err := parseID("delivery", text)
	if err != nil {
		return nil, err
	}
	if _, err := p.await(ctx, projectionDeliveries, ReadParams{}); err != nil {
		return nil, err
	}
	d, _, err := p.Deliveries.Delivery(ctx, c.Account, id)
	if err != nil {
		return nil, err
	}
	e, err := decide(d, c.Name, p.Now())
	if err != nil {
		return nil, err
	}
	positions, err := p.Log.Append(ctx, e)
	if err != nil {
		return nil, err
	}
	p.settle(ctx, projectionDeliveries, positions)
	if now, _, err := p.Deliveries.Delivery(ctx, c.Account, id); err == nil {
		d = now
	} else { // it is decided: an answer that says otherwise would be wrong
		d.Apply(domain.Recorded{Event: e})
	}
	return &changedDelivery{AppendHeaders: appended(positions), Body: showDelivery(d)}, nil
}
