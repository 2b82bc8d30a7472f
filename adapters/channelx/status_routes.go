package channelx

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

// versionSpoken is the release of the original whose wire this is; programs turn
// parts of themselves on and off by it.
const versionSpoken = "4.15.1"

// probeWait bounds how long the status waits for the log and the rows.
const probeWait = 2 * time.Second

// statusRoutes are what connection tests ask for, without credentials (channelx.md
// 4.7).
func (d *Door) statusRoutes(mux *http.ServeMux) {
	both(mux, "GET /api", func(w http.ResponseWriter, r *http.Request) { tell(w, http.StatusOK, d.status(r.Context())) })
	both(mux, "GET /health", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, healthBody{"woot"}) })
}

// installation is what the installation tells of itself.
type installation struct {
	Version   string `json:"version"`
	Timestamp string `json:"timestamp"`
	Queue     string `json:"queue_services"`
	Data      string `json:"data_services"`
}

type healthBody struct {
	Status string `json:"status"`
}

// status tells whether the log and the rows answer.
func (d *Door) status(ctx context.Context) installation {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	at := d.Now().UTC().Format(time.DateTime)
	if err := d.Freshness.FreshFor(ctx, "account/"+domain.DefaultAccount); err != nil {
		d.Logger.WarnContext(ctx, "channelx.status_failing", "error", err)
		return installation{Version: versionSpoken, Timestamp: at, Queue: "failing", Data: "failing"}
	}
	return installation{Version: versionSpoken, Timestamp: at, Queue: "ok", Data: "ok"}
}
