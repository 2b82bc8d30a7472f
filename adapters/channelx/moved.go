package channelx

import (
	"context"

	"github.com/parley-im/parley/domain"
)

// moved resumes an endpoint that has another address: what was decided about it
// was about the old one. The address has been changed, so a failure is logged only.
func (d *Door) moved(ctx context.Context, c caller, target string) {
	if e, ok := d.Endpoints.Endpoint(target); !ok || e.State == domain.EndpointHealthy {
		return
	}
	// As with all endpoints, the decision is in the log before it is kept.
	_, err := d.Endpoints.ChangeEndpoint(ctx, c.account.Name, target, func(e *domain.Endpoint) error {
		next, event, err := e.Resume(domain.EndpointMoved, c.operator.Name, d.Now())
		if err != nil {
			return err
		}
		if _, err := d.Log.Append(ctx, event); err != nil {
			return err
		}
		*e = next
		return nil
	})
	if err != nil && domain.CodeOf(err) != domain.CodeConflict {
		d.Logger.WarnContext(ctx, "channelx.endpoint_unresumed", "target", target, "error", err)
	}
}
