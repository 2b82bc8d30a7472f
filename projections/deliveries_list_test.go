package projections_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// Ensure that the first part of each list of deliveries is read through an index in
// its order: what other channels, states and kinds have costs nothing.
func TestDeliveries_listedByIndex(t *testing.T) {
	t.Parallel()
	pool := database(t)
	_, err := pool.Exec(t.Context(), `
		insert into deliveries (id, partition, "offset", account, channel_id, lane, dialect, message_id, conversation_id, content,
			state, parked, blocks, head, attempts, tries, last_reason, last_detail, created_at, due, kind)
		select gen_random_uuid(), 0, i, 'default', 'c' || i % 2, 'c' || i % 2 || '/' || i, 'respondio', gen_random_uuid(), md5(i::text)::uuid, '{}',
			case when i % 2 = 0 then 'delivered' else 'dead' end, false, i < 0, false, 1, 1, 'timeout', '',
			now() + i * interval '1 s', now(), 'message'
		from generate_series(1, 20000) i`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "analyze deliveries"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter domain.DeliveryFilter
		index  string
	}{
		{domain.DeliveryFilter{}, "deliveries_account"},
		{domain.DeliveryFilter{Channel: "c0"}, "deliveries_channel"},
		{domain.DeliveryFilter{Channel: "c0", State: domain.StateDead}, "deliveries_channel_dead"},
		{domain.DeliveryFilter{Channel: "c1", State: domain.StateDead}, "deliveries_channel_dead"},
		{domain.DeliveryFilter{State: domain.StatePending}, "deliveries_unsettled"},
		{domain.DeliveryFilter{Kind: domain.DeliverSubscription}, "deliveries_kinds"},
	} {
		c.filter.Account = "default"
		sql, args, err := projections.ListDeliveries(c.filter, domain.Page{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := pool.Query(t.Context(), "explain (costs off) "+sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, " "+c.index+" ") || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%+v is not read through %s:\n%s", c.filter, c.index, plan)
		}
	}
}
