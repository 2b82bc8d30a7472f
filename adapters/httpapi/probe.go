package httpapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/parley-im/parley/domain"
)

// testView is what a test call came to.
type testView struct {
	Delivered  bool           `json:"delivered" doc:"Whether the callback took the message."`
	Verdict    domain.Verdict `json:"verdict" enum:"delivered,retry,refused" doc:"What the answer would mean for a real message."`
	Reason     domain.Reason  `json:"reason"`
	HTTPStatus int            `json:"http_status,omitempty"`
	Detail     string         `json:"detail,omitempty" doc:"For people."`
	ExternalID string         `json:"external_id,omitempty" doc:"The id that the integration gave the message."`
	Response   string         `json:"response,omitempty" doc:"The beginning of the answer's body."`
}

// maxTestResponse is how much of an answer a test shows, in characters.
const maxTestResponse = 4096

func (p *platform) testChannel(ctx context.Context, c caller, in *struct {
	ChannelPath
	KeyParam
},
) (*struct{ Body testView }, error) {
	ch, err := p.channelOf(c, in.ID)
	if err != nil {
		return nil, err
	}
	if ch.Dialect.HasTickets() && strings.TrimSpace(ch.CallbackURL) == "" {
		return nil, clash("callback_url", "is empty: there is nothing to call")
	}
	tested, err := p.test(ctx, ch)
	if err == nil && tested.Body.Delivered {
		p.forgive(ctx, c, ch.ID, domain.EndpointTested)
	}
	return tested, err
}

// test calls an endpoint once.
func (p *platform) test(ctx context.Context, ch domain.Channel) (*struct{ Body testView }, error) {
	o, err := p.Prober.Probe(ctx, ch)
	if err != nil {
		return nil, fmt.Errorf("make a test call: %w", err)
	}
	return &struct{ Body testView }{Body: testView{
		Delivered: o.Verdict == domain.Delivered, Verdict: o.Verdict, Reason: o.Reason, HTTPStatus: o.HTTPStatus,
		Detail: o.Detail, ExternalID: o.ExternalID, Response: domain.Cut(string(o.Response), maxTestResponse),
	}}, nil
}
