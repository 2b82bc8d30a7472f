package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/parley-im/parley/domain"
)

// redrives keeps jobs of redriving. A job is worked on elsewhere. CountDead counts
// what a filter chooses of what has died by a moment. CreateRedrive makes the job
// of the dead letters as of its CreatedAt, unless there is one of its id, and is
// CodeConflict when so many have to be confirmed (domain.RedriveFilter.Confirmed).
// One that is not in the account is CodeNotFound; to cancel one that has ended
// otherwise is CodeConflict. Lists are as those of reads.
type redrives interface {
	CountDead(ctx context.Context, f domain.RedriveFilter, asOf time.Time) (int64, error)
	CreateRedrive(ctx context.Context, job domain.Redrive, confirm *int64) (domain.Redrive, error)
	Redrives(ctx context.Context, account string, p domain.Page) ([]domain.Redrive, string, error)
	Redrive(ctx context.Context, account string, id uuid.UUID) (domain.Redrive, error)
	CancelRedrive(ctx context.Context, account string, id uuid.UUID, now time.Time) (domain.Redrive, error)
}

// redriveInput says which dead letters are redriven.
type redriveInput struct {
	Channel string `json:"channel,omitempty" maxLength:"64" doc:"Only dead letters of this channel."`
	From    string `json:"from,omitempty" format:"date-time" maxLength:"64" doc:"Only of outbound events from this time on, inclusive." example:"2026-03-01T09:00:00Z"`
	To      string `json:"to,omitempty" format:"date-time" maxLength:"64" doc:"Only of outbound events before this time." example:"2026-03-01T17:00:00Z"`
	Reason  string `json:"reason,omitempty" enum:"rejected,bad_answer,server_error,rate_limited,timeout,unreachable,address_refused,channel_deleted,unsubscribed,expired,internal" doc:"Only dead letters whose last call came to this."`
	Kind    string `json:"kind,omitempty" enum:"message,close,function,subscription,notice" doc:"Only deliveries of this kind."`
	DryRun  bool   `json:"dry_run,omitempty" doc:"Only count."`
	Confirm *int64 `json:"confirm,omitempty" minimum:"0" doc:"How many there are, as counted by a dry run. Needed above 1000."`
}

// redriveFilterView is what a redrive is about.
type redriveFilterView struct {
	Channel string              `json:"channel,omitempty"`
	From    *time.Time          `json:"from,omitempty"`
	To      *time.Time          `json:"to,omitempty"`
	Reason  domain.Reason       `json:"reason,omitempty"`
	Kind    domain.DeliveryKind `json:"kind,omitempty" enum:"message,close,function,subscription,notice"`
}

// redriveView is a redrive as the API shows it.
type redriveView struct {
	ID         uuid.UUID           `json:"id" format:"uuid"`
	Filter     redriveFilterView   `json:"filter"`
	State      domain.RedriveState `json:"state" enum:"running,done,cancelled,failed"`
	Total      int64               `json:"total" doc:"Dead letters that matched when it was made."`
	Redriven   int64               `json:"redriven" doc:"Of them, those that were put back to the beginning of their schedule."`
	Skipped    int64               `json:"skipped" doc:"Of them, those that were no dead letters any more when it came to them."`
	By         string              `json:"by" doc:"Name of the token that asked."`
	CreatedAt  time.Time           `json:"created_at"`
	UpdatedAt  time.Time           `json:"updated_at"`
	FinishedAt *time.Time          `json:"finished_at"`
	Error      string              `json:"error" doc:"Why it failed, or what holds it up at the moment; empty otherwise."`
}

// redriveCountView is the answer to a dry run.
type redriveCountView struct {
	Count int64 `json:"count" doc:"Dead letters that match now."`
}

func showRedrive(r domain.Redrive) redriveView {
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	f := r.Filter
	return redriveView{
		ID:     r.ID,
		Filter: redriveFilterView{Channel: f.Channel, From: at(f.From), To: at(f.To), Reason: f.Reason, Kind: f.Kind},
		State:  r.State, Total: r.Total, Redriven: r.Redriven, Skipped: r.Skipped, By: r.By,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, FinishedAt: r.FinishedAt, Error: r.Error,
	}
}

// RedrivePath names a redrive.
type RedrivePath struct {
	ID string `path:"id" doc:"The redrive's id."`
}

func (p *platform) redriveRoutes() {
	handle(p, operation{
		id: "create-redrive", method: http.MethodPost, path: "/v1/redrives", tag: tagDeliveries, need: domain.RoleAdmin,
		summary: "Redrive many dead letters", status: http.StatusAccepted,
		description: "Sends all dead letters of the account that match after all, as they are when it is asked for: a job that goes on by itself. " +
			"Each conversation goes in the order of the log. With dry_run they are only counted, and nothing is made (200). " +
			"409 when there are more than 1000 and confirm is not their number, which it then says.",
	}, p.createRedrive)
	handle(p, operation{
		id: "list-redrives", method: http.MethodGet, path: "/v1/redrives", tag: tagDeliveries, need: domain.RoleReader,
		summary: "List redrives", description: "Newest first. They are kept for 90 days after their end.",
	}, p.listRedrives)
	handle(p, operation{
		id: "get-redrive", method: http.MethodGet, path: "/v1/redrives/{id}", tag: tagDeliveries, need: domain.RoleReader,
		summary: "Read how far a redrive is",
	}, p.getRedrive)
	handle(p, operation{
		id: "cancel-redrive", method: http.MethodPost, path: "/v1/redrives/{id}/cancel", tag: tagDeliveries, need: domain.RoleAdmin,
		summary: "Cancel a redrive", status: http.StatusOK,
		description: "It ends with the page that is being redriven, of 200 at most. What was redriven stays so. 409 when it has ended otherwise.",
	}, p.cancelRedrive)

	answers := p.huma.OpenAPI().Paths["/v1/redrives"].Post.Responses
	schema := func(t reflect.Type) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/json": {Schema: p.huma.OpenAPI().Components.Schemas.Schema(t, true, "")}}
	}
	answers["202"].Content = schema(reflect.TypeFor[redriveView]())
	answers["200"] = &huma.Response{Description: "The count of a dry run", Content: schema(reflect.TypeFor[redriveCountView]())}
}

// redriveAnswer is a job, or the count of a dry run.
type redriveAnswer struct {
	Status   int
	Location string `header:"Location" doc:"Where the job can be read; absent after a dry run."`
	Body     any
}

// createRedrive makes a job whose id follows from the idempotency key: if the
// process dies before it answers, a repeat gives the same job.
func (p *platform) createRedrive(ctx context.Context, c caller, in *struct {
	KeyParam
	Body *redriveInput
},
) (*redriveAnswer, error) {
	var b redriveInput
	if in.Body != nil {
		b = *in.Body
	}
	f, err := b.filter(c.Account)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, reachedWait)
	defer cancel()
	if err := p.Freshness.Fresh(limited, projectionDeliveries); err != nil {
		return nil, late(err, "the deliveries are behind the log; repeat the request")
	}
	now := domain.Stamp(p.Now())
	if b.DryRun {
		count, err := p.Redrives.CountDead(ctx, f, now)
		if err != nil {
			return nil, err
		}
		return &redriveAnswer{Status: http.StatusOK, Body: redriveCountView{Count: count}}, nil
	}
	text, err := p.thingID(in.Key, "redrive", c.Account)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, err
	}
	job, err := p.Redrives.CreateRedrive(ctx, domain.Redrive{ID: id, Filter: f, By: c.Name, CreatedAt: now}, b.Confirm)
	if err != nil {
		return nil, err
	}
	return &redriveAnswer{Status: http.StatusAccepted, Location: "/v1/redrives/" + job.ID.String(), Body: showRedrive(job)}, nil
}

// filter reads what was asked for.
func (in redriveInput) filter(account string) (domain.RedriveFilter, error) {
	f := domain.RedriveFilter{Account: account, Channel: in.Channel, Reason: domain.Reason(in.Reason), Kind: domain.DeliveryKind(in.Kind)}
	for _, t := range []struct {
		field, text string
		into        *time.Time
	}{{"from", in.From, &f.From}, {"to", in.To, &f.To}} {
		if t.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, t.text)
		if err != nil {
			return f, domain.Invalid(t.field, "must be an RFC 3339 time, such as 2026-03-01T09:00:00Z")
		}
		*t.into = at.UTC()
	}
	return f, f.Validate()
}

func (p *platform) listRedrives(ctx context.Context, c caller, in *PageParams) (*shownOutput[list[redriveView]], error) {
	part, next, err := p.Redrives.Redrives(ctx, c.Account, in.page())
	if err != nil {
		return nil, err
	}
	return &shownOutput[list[redriveView]]{listOf(part, next, showRedrive)}, nil
}

func (p *platform) getRedrive(ctx context.Context, c caller, in *RedrivePath) (*shownOutput[redriveView], error) {
	id, err := parseID("redrive", in.ID)
	if err != nil {
		return nil, err
	}
	job, err := p.Redrives.Redrive(ctx, c.Account, id)
	if err != nil {
		return nil, err
	}
	return &shownOutput[redriveView]{showRedrive(job)}, nil
}

func (p *platform) cancelRedrive(ctx context.Context, c caller, in *struct {
	RedrivePath
	KeyParam
},
) (*shownOutput[redriveView], error) {
	id, err := parseID("redrive", in.ID)
	if err != nil {
		return nil, err
	}
	job, err := p.Redrives.CancelRedrive(ctx, c.Account, id, domain.Stamp(p.Now()))
	if err != nil {
		return nil, err
	}
	return &shownOutput[redriveView]{showRedrive(job)}, nil
}
