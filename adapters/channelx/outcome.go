package channelx

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
)

// longestRetryAfter is the longest wait that is believed.
const longestRetryAfter = 10 * time.Minute

// Outcome says what an answer means (channelx.md 6.4): any 2xx is delivered; no
// answer, 408, 425, 429 and 5xx are tried again; everything else, redirects among
// it, is refused for good. The text of an answer does not matter.
func (Outbound) Outcome(_ domain.Delivery, a domain.Answer, now time.Time) domain.Outcome {
	o := domain.Outcome{HTTPStatus: a.Status, Response: a.Body, Verdict: domain.Refused, Reason: domain.ReasonRejected, Detail: statusText(a.Status)}
	if a.Fault != "" {
		o.Verdict, o.Reason, o.Detail = domain.Retry, a.Fault, faultText(a)
		if a.Fault == domain.ReasonAddressRefused {
			o.Verdict = domain.Refused // no repetition changes it
		}
		return o
	}
	switch {
	case a.Status >= 200 && a.Status < 300:
		o.Verdict, o.Reason, o.Detail = domain.Delivered, domain.ReasonOK, ""
	case a.Status == http.StatusTooManyRequests:
		o.Verdict, o.Reason, o.RetryAfter = domain.Retry, domain.ReasonRateLimited, retryAfter(a.RetryAfter, now)
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly, a.Status >= 500:
		o.Verdict, o.Reason, o.RetryAfter = domain.Retry, domain.ReasonServerError, retryAfter(a.RetryAfter, now)
	}
	o.Firm = o.RetryAfter > 0
	return o
}

// statusText is such as "500 Internal Server Error".
func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// faultText says why there is no answer.
func faultText(a domain.Answer) string {
	switch {
	case a.Detail != "":
		return a.Detail
	case a.Fault == domain.ReasonTimeout:
		return "Request Timeout"
	default:
		return "the callback could not be reached"
	}
}

// retryAfter reads seconds or a date; 0 where the header is missing or neither.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetryAfter)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), longestRetryAfter))
}

// Replies tells that a message failed where the callback of its channel did not
// take it for good (channelx.md 6.4). A message that had failed when this was told
// fails no more: what tells of a failure cannot make another one.
func (o Outbound) Replies(ch domain.Channel, d domain.Delivery, a domain.Answer, out domain.Outcome, now time.Time) []domain.Event {
	n := d.Subject.Notice
	if out.Verdict == domain.Delivered || n == nil || n.Target != "" || n.Post == nil || n.Scene == nil || n.Post.Status == domain.StatusFailed {
		return nil
	}
	text := out.Detail
	if a.Fault == "" {
		text = statusText(a.Status)
	}
	return []domain.Event{o.failed(ch, d, *n, text, now)}
}

// failed tells that the post of a notice failed. Repeated after the same try it is
// the same event. The worker knows the post as it was told; whoever folds the event
// takes no more of it than the error.
func (o Outbound) failed(ch domain.Channel, d domain.Delivery, n domain.Notice, text string, now time.Time) domain.Event {
	text = domain.Cut(clean(text), domain.MaxDetail)
	scene := *n.Scene
	post := n.Post.Turn(domain.StatusFailed, &text).Next(now)
	if scene.Public != nil && scene.Public.ID == post.ID {
		scene.Public = &post
	}
	return domain.Event{
		ID:      domain.DeriveID("message-failed", d.ID.String(), strconv.Itoa(d.Attempts)),
		Account: d.Account, Channel: d.Channel, Dialect: d.Dialect, ContactRef: d.ContactRef, Time: domain.Stamp(now),
		Data: domain.MessageFailed{
			MessageID: post.Message, ConversationID: scene.Ticket.ID, Error: text, Posted: &domain.Posted{
				Telling: domain.Telling{Targets: targetsOf(d.Account, &ch, o.webhooks.Webhooks(d.Account), domain.NoticeMessageUpdated)},
				Post:    post, Scene: scene, Changes: post.Since(*n.Post),
			},
		},
	}
}
