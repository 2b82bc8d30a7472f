package projections

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-im/parley/domain"
)

// runEpisode is the episode of a conversation as one run sees it.
type runEpisode struct {
	domain.Episode
	channel, stream, ref string
	calls                bool // the run may call a function about it
	dirty                bool
}

// functionLane is the lane of the function that handles the episode or did last;
// "" when none did.
func (e *runEpisode) functionLane() string {
	if e.Function == 0 {
		return ""
	}
	return domain.StreamOf(domain.FunctionTarget(e.channel, e.Function), e.ref)
}

// touch notes the episode that an event is about, and the lanes that it may call
// functions in: those that events of the run name. The one that the stored
// episode names is loaded with it.
func (run *deliveryRun) touch(r domain.Recorded) {
	conversation, ok := conversationIn(r)
	if !ok || !r.Dialect.HasEpisodes() {
		return
	}
	e := run.episodes[conversation]
	if e == nil {
		if run.episodes == nil {
			run.episodes = map[uuid.UUID]*runEpisode{}
		}
		e = &runEpisode{channel: r.Channel, stream: r.Stream(), ref: r.ContactRef}
		run.episodes[conversation] = e
	}
	var function int64
	switch d := r.Data.(type) {
	case domain.MessageReceived:
		e.calls = true
		if d.Terms != nil {
			function = d.Terms.Function
		}
	case domain.ConversationAssigned:
		function = d.Function
	}
	if function != 0 {
		run.lane(domain.StreamOf(domain.FunctionTarget(r.Channel, function), r.ContactRef), r.Stream())
	}
}

// conversationIn names the conversation whose episode an event moves on.
func conversationIn(r domain.Recorded) (uuid.UUID, bool) {
	switch e := r.Data.(type) {
	case domain.MessageReceived:
		return e.ConversationID, true
	case domain.MessageSent:
		return e.ConversationID, true
	case domain.ConversationAssigned:
		return e.ConversationID, true
	case domain.ConversationMarked:
		return e.ConversationID, true
	case domain.ConversationClosed:
		return e.ConversationID, true
	default:
		return uuid.UUID{}, false
	}
}

// queueEpisodes reads the episodes of the run, and of the lanes of their
// functions as many rows as load does of others.
func (run *deliveryRun) queueEpisodes(batch *pgx.Batch) {
	if len(run.episodes) == 0 {
		return
	}
	ids := make([]uuid.UUID, 0, len(run.episodes))
	var calling []uuid.UUID
	var limits []int64
	for id, e := range run.episodes {
		ids = append(ids, id)
		if e.calls {
			calling, limits = append(calling, id), append(limits, int64(run.named[e.stream]+1))
		}
	}
	batch.Queue(planByIndex)
	batch.Queue(`
		select conversation_id, state from delivery_episodes where conversation_id = any($1)`,
		uuidArray(ids)).Query(eachRow(run.loadEpisode))
	if len(calling) == 0 {
		return
	}
	// Lanes that events name are read with the others.
	named := make([]string, 0, len(run.lanes))
	for name := range run.lanes {
		named = append(named, name)
	}
	batch.Queue(`
		select e.function_lane, d.id, d."offset", d.head, t.id
		from unnest($1::uuid[], $2::bigint[]) t(id, n)
		cross join lateral (
			select function_lane from delivery_episodes where conversation_id = t.id offset 0
		) e cross join lateral (
			select id, "offset", head from deliveries
			where lane = e.function_lane and blocks order by "offset" limit t.n
		) d
		where e.function_lane <> '' and e.function_lane <> all($3::text[])`,
		uuidArray(calling), limits, named).Query(eachRow(func(row pgx.CollectableRow) error {
		var name string
		var conversation uuid.UUID
		var entry laneEntry
		if err := row.Scan(&name, raw(&entry.id), &entry.offset, &entry.head, raw(&conversation)); err != nil {
			return fmt.Errorf("read the head of a function's lane: %w", err)
		}
		lane := run.lane(name, run.episodes[conversation].stream)
		lane.stored = append(lane.stored, entry)
		return nil
	}))
}

func (run *deliveryRun) loadEpisode(row pgx.CollectableRow) error {
	var id uuid.UUID
	var state []byte
	if err := row.Scan(raw(&id), &state); err != nil {
		return fmt.Errorf("read an episode: %w", err)
	}
	if err := json.Unmarshal(state, &run.episodes[id].Episode); err != nil {
		return fmt.Errorf("decode the episode of conversation %s: %w", id, err)
	}
	return nil
}

// moveOn folds an event into its conversation's episode, as domain.Thread does,
// and tells whether it took effect. It gives nil in dialects without episodes.
func (run *deliveryRun) moveOn(r domain.Recorded) (episode *domain.Episode, took bool) {
	conversation, ok := conversationIn(r)
	if !ok || !r.Dialect.HasEpisodes() {
		return nil, false
	}
	e := run.episodes[conversation]
	if _, says := r.Data.(domain.MessageSent); says && run.rows[domain.DeliveryID(r.ID)] != nil {
		return &e.Episode, false // told before, however long ago
	}
	took = e.Apply(r)
	e.dirty = e.dirty || took
	return &e.Episode, took
}

// writeEpisodes puts back what has changed. If the run is rolled back, so is this.
func (run *deliveryRun) writeEpisodes(batch *pgx.Batch) error {
	var ids []uuid.UUID
	var lanes, states []string
	for id, e := range run.episodes {
		if !e.dirty {
			continue
		}
		state, err := json.Marshal(e.Episode)
		if err != nil {
			return fmt.Errorf("encode the episode of conversation %s: %w", id, err)
		}
		ids, lanes, states = append(ids, id), append(lanes, e.functionLane()), append(states, string(state))
	}
	if len(ids) == 0 {
		return nil
	}
	batch.Queue(`
		insert into delivery_episodes as e (conversation_id, function_lane, state)
		select * from unnest($1::uuid[], $2::text[], $3::json[])
		on conflict (conversation_id) do update set function_lane = excluded.function_lane, state = excluded.state`,
		uuidArray(ids), lanes, states)
	return nil
}
