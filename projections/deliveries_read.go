package projections

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// deliveryColumns are those that scanDelivery reads, of a table named d.
const deliveryColumns = `d.id, d.partition, d."offset", d.account, d.channel_id, d.lane, d.dialect, d.message_id,
	d.conversation_id, d.kind, d.content, d.subject, d.state, d.parked, d.attempts, d.tries, d.last_reason, d.last_detail, d.created_at,
	d.first_tried_at, d.next_attempt_at, d.settled_at`

func scanDelivery(row pgx.CollectableRow) (domain.Delivery, error) {
	var d domain.Delivery
	var lane string
	var content, subject []byte
	if err := row.Scan((*[16]byte)(&d.ID), &d.Position.Partition, &d.Position.Offset, &d.Account, &d.Channel, &lane, &d.Dialect,
		(*[16]byte)(&d.MessageID), (*[16]byte)(&d.Conversation), &d.Kind, &content, &subject, &d.State, &d.Parked, &d.Attempts, &d.Tries, &d.LastReason,
		&d.LastDetail, &d.CreatedAt, &d.FirstTriedAt, &d.NextAttemptAt, &d.SettledAt); err != nil {
		return d, err
	}
	d.ContactRef = domain.RefOfLane(lane)
	d.CreatedAt = d.CreatedAt.UTC()
	for _, t := range []*time.Time{d.FirstTriedAt, d.NextAttemptAt, d.SettledAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	if err := json.Unmarshal(content, &d.Content); err != nil {
		return d, fmt.Errorf("decode the content of delivery %s: %w", d.ID, err)
	}
	if subject == nil {
		return d, nil
	}
	if err := json.Unmarshal(subject, &d.Subject); err != nil {
		return d, fmt.Errorf("decode the subject of delivery %s: %w", d.ID, err)
	}
	return d, nil
}

// Deliveries lists deliveries of an account, newest first, and the cursor of the
// part after, "" at the end. A cursor that it did not give is CodeInvalid.
func (p *Deliveries) Deliveries(ctx context.Context, f domain.DeliveryFilter, page domain.Page) ([]domain.Delivery, string, error) {
	sql, args, err := listDeliveries(f, page)
	if err != nil {
		return nil, "", err
	}
	rows, err := p.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return nil, "", fmt.Errorf("list deliveries: %w", err)
	}
	if len(list) <= page.Limit {
		return list, "", nil
	}
	list = list[:page.Limit]
	return list, deliveryCursor(list[len(list)-1]), nil
}

// listDeliveries makes the statement of a part of the list, which has one row more.
func listDeliveries(f domain.DeliveryFilter, page domain.Page) (statement string, args []any, err error) {
	sql := strings.Builder{}
	sql.WriteString("select " + deliveryColumns + " from deliveries d where d.account = $1")
	args = []any{f.Account}
	also := func(condition string, values ...any) {
		for i, v := range values {
			args = append(args, v)
			condition = strings.ReplaceAll(condition, fmt.Sprintf("?%d", i+1), fmt.Sprintf("$%d", len(args)))
		}
		sql.WriteString(" and " + condition)
	}
	if f.Channel != "" {
		also("d.channel_id = ?1", f.Channel)
	}
	if f.Kind != "" {
		also("d.kind = ?1", string(f.Kind))
		if f.Kind != domain.DeliverMessage {
			sql.WriteString(" and d.kind <> 'message'") // names the partial index
		}
	}
	if f.State != "" {
		also("d.state = ?1", string(f.State))
		switch f.State { // names the partial index
		case domain.StateDead:
			sql.WriteString(" and d.state = 'dead'")
		case domain.StateDelivered:
		default:
			sql.WriteString(" and d.state <> 'delivered'")
		}
	}
	if page.After != "" {
		at, id, err := readDeliveryCursor(page.After)
		if err != nil {
			return "", nil, err
		}
		also("(d.created_at, d.id) < (?1, ?2)", at, id)
	}
	fmt.Fprintf(&sql, " order by d.created_at desc, d.id desc limit %d", page.Limit+1)
	return sql.String(), args, nil
}

func deliveryCursor(d domain.Delivery) string {
	text := d.CreatedAt.Format(time.RFC3339Nano) + " " + d.ID.String()
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func readDeliveryCursor(cursor string) (time.Time, uuid.UUID, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, id, _ := strings.Cut(string(text), " ")
	created, errAt := time.Parse(time.RFC3339Nano, at)
	parsed, errID := uuid.Parse(id)
	if err := errors.Join(err, errAt, errID); err != nil {
		return time.Time{}, uuid.UUID{}, &domain.Error{
			Code: domain.CodeInvalid, Field: "cursor", Message: "is not one that a list gave", Err: err,
		}
	}
	if year := created.UTC().Year(); year < 1 || year > 9999 { // no delivery is of such a time
		return time.Time{}, uuid.UUID{}, badCursor(nil)
	}
	return created, parsed, nil
}

// Delivery gives one delivery of an account and its attempts, oldest first;
// CodeNotFound when the account has none of that id.
func (p *Deliveries) Delivery(ctx context.Context, account string, id uuid.UUID) (domain.Delivery, []domain.Attempt, error) {
	rows, err := p.pool.Query(ctx, "select "+deliveryColumns+" from deliveries d where d.id = $1 and d.account = $2", id, account)
	if err != nil {
		return domain.Delivery{}, nil, fmt.Errorf("read delivery %s: %w", id, err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Delivery{}, nil, domain.Errorf(domain.CodeNotFound, "there is no such delivery")
	}
	if err != nil {
		return domain.Delivery{}, nil, fmt.Errorf("read delivery %s: %w", id, err)
	}
	attempts, err := p.attempts(ctx, id)
	return d, attempts, err
}

func (p *Deliveries) attempts(ctx context.Context, id uuid.UUID) ([]domain.Attempt, error) {
	rows, err := p.pool.Query(ctx, `
		select number, started_at, duration_ms, verdict, reason, http_status, detail, response
		from delivery_attempts where delivery_id = $1 order by number`, id)
	if err != nil {
		return nil, fmt.Errorf("read attempts of %s: %w", id, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a domain.Attempt, err error) {
		var ms int64
		err = row.Scan(&a.Number, &a.StartedAt, &ms, &a.Verdict, &a.Reason, &a.HTTPStatus, &a.Detail, &a.Response)
		a.StartedAt, a.Duration = a.StartedAt.UTC(), time.Duration(ms)*time.Millisecond
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("read attempts of %s: %w", id, err)
	}
	return list, nil
}

// LastRefusal tells whether the newest outcome of a channel's callback is that
// it refused who called, with status 401 or 403, and when that was
// (voximplant-kit.md 8.4). It is kept for dialects that have episodes; other
// channels give false.
func (p *Deliveries) LastRefusal(ctx context.Context, channel string) (at time.Time, status int, ok bool, err error) {
	err = p.pool.QueryRow(ctx, `
		select d.settled_at, a.http_status from (
			select id, attempts, settled_at from deliveries
			where channel_id = $1 and dialect not in ('respondio', 'ismessenger') and target = channel_id and settled_at is not null
			order by settled_at desc limit 1
		) d cross join lateral (
			select http_status from delivery_attempts where delivery_id = d.id and number = d.attempts offset 0
		) a`, channel).Scan(&at, &status)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, 0, false, nil
	}
	if err != nil {
		return time.Time{}, 0, false, fmt.Errorf("read the newest outcome of channel %s: %w", channel, err)
	}
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		return time.Time{}, 0, false, nil
	}
	return at.UTC(), status, true, nil
}

// Depth counts the deliveries of some partitions by state.
func (p *Deliveries) Depth(ctx context.Context, partitions []int) (map[domain.DeliveryState]int64, error) {
	rows, err := p.pool.Query(ctx,
		"select state, sum(n)::bigint from delivery_depth where partition = any($1) group by state", partitions)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	depth := map[domain.DeliveryState]int64{}
	var state domain.DeliveryState
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error {
		depth[state] = n
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return depth, nil
}
