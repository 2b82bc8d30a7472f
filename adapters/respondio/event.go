package respondio

import (
	"strconv"
	"time"

	"github.com/parley-im/parley/domain"
)

// Limits of an envelope (section 3.2), in entries and in characters.
const (
	maxEvents = 100
	maxMID    = 50
)

// Bounds of a timestamp, in milliseconds (section 3.4). What is smaller than the
// first is seconds; what is larger than the last has a year of five digits, which
// no format of ours can write.
const (
	leastMilliseconds = 100_000_000_000
	mostMilliseconds  = 253_402_300_799_999
)

// The types of events (section 3.5).
const (
	typeMessage = "message"
	typeEcho    = "message_echo"
	typeStatus  = "message_status"
)

// decode reads a whole body that came in with the token of ch. suffix is the
// channel id at the end of the path, or "". Nothing counts unless all of it is
// valid: the error is one of CodeNotFound, CodeForbidden and CodeInvalid.
func decode(body []byte, suffix string, ch domain.Channel, now time.Time) ([]domain.Event, error) {
	v, err := parse(body)
	if err != nil {
		return nil, err
	}
	var channelID, contactID, events, contact value
	for name, m := range v.members() {
		switch string(name) {
		case "channelId":
			channelID = m
		case "contactId":
			contactID = m
		case "events":
			events = m
		case "contact":
			contact = m
		}
	}
	if err := checkChannel(channelID, suffix, ch); err != nil {
		return nil, err
	}
	r := reader{channel: ch, limits: domain.LimitsOf(ch.Dialect), now: now}
	if r.ref, err = readRef(contactID, ch.IDType); err != nil {
		return nil, err
	}
	if r.profile, err = readProfile(contact); err != nil {
		return nil, err
	}
	if ch.IDType == domain.IDTypePhone {
		r.defaultPhone()
	}
	return r.events(events)
}

// checkChannel makes sure that the body is about the channel of the token. It
// does not tell whether another one exists (section 5, 4).
func checkChannel(v value, suffix string, ch domain.Channel) error {
	if v.absent() {
		return domain.Invalid("channelId", "is required")
	}
	id, ok := v.id()
	switch {
	case !ok:
		return domain.Invalid("channelId", notText)
	case id == "":
		return domain.Invalid("channelId", "is required")
	case suffix != "" && suffix != id:
		return domain.Errorf(domain.CodeNotFound, "the channel in the path is not that of the body")
	case id != ch.ID:
		return domain.Errorf(domain.CodeForbidden, "the token is not that of this channel")
	}
	return nil
}

func readRef(v value, t domain.IDType) (string, error) {
	if v.absent() {
		return "", domain.Invalid("contactId", "is required")
	}
	raw, ok := v.id()
	if !ok {
		return "", domain.Invalid("contactId", notText)
	}
	return t.Normalize("contactId", raw)
}

// reader holds what all events of a body have in common.
type reader struct {
	channel domain.Channel
	limits  domain.Limits
	ref     string
	profile *domain.Profile
	now     time.Time
}

// defaultPhone makes a contact's number its phone unless the profile names
// another one (end of section 3.6).
func (r *reader) defaultPhone() {
	if r.profile == nil {
		r.profile = &domain.Profile{}
	}
	if r.profile.Phone == "" {
		r.profile.Phone = r.ref
	}
}

func (r *reader) events(v value) ([]domain.Event, error) {
	if v.absent() {
		return nil, domain.Invalid("events", "is required")
	}
	if !v.is('[') {
		return nil, domain.Invalid("events", "must be an array")
	}
	var list []domain.Event
	for i, e := range v.elements() {
		if i == maxEvents {
			list = nil
			break
		}
		read, err := r.event(e)
		if err != nil {
			return nil, under("events["+strconv.Itoa(i)+"]", err)
		}
		list = append(list, read)
	}
	if len(list) == 0 {
		return nil, domain.Invalid("events", "must hold 1 to %d entries", maxEvents)
	}
	return list, nil
}

// event reads one entry of events. Fields in errors begin with the dot behind it.
func (r *reader) event(v value) (domain.Event, error) {
	if !v.is('{') {
		return domain.Event{}, domain.Invalid("", "must be an object")
	}
	var kind, mID, mld, timestamp, message, status value
	for name, m := range v.members() {
		switch string(name) {
		case "type":
			kind = m
		case "mId":
			mID = m
		case "mld": // as the field tables spell it
			mld = m
		case "timestamp":
			timestamp = m
		case "message":
			message = m
		case "status":
			status = m
		}
	}
	what, err := requiredText(".type", kind)
	if err != nil {
		return domain.Event{}, err
	}
	if what != typeMessage && what != typeEcho && what != typeStatus {
		return domain.Event{}, domain.Invalid(".type", "must be one of message, message_echo, message_status")
	}
	if mID.absent() {
		mID = mld
	}
	external, err := readMID(mID)
	if err != nil {
		return domain.Event{}, err
	}
	at, err := readTimestamp(timestamp)
	if err != nil {
		return domain.Event{}, err
	}
	if what == typeStatus {
		return r.receipt(external, at, status)
	}
	if message.absent() {
		return domain.Event{}, domain.Invalid(".message", "is required")
	}
	if !message.is('{') {
		return domain.Event{}, domain.Invalid(".message", "must be an object")
	}
	content, err := readContent(message, r.limits)
	if err != nil {
		return domain.Event{}, under(".message.", err)
	}
	if what == typeEcho {
		return r.channel.Echo(r.ref, external, at, content, r.profile, r.now), nil
	}
	return r.channel.Receive(r.ref, external, at, content, r.profile, r.now), nil
}

func (r *reader) receipt(external string, at time.Time, v value) (domain.Event, error) {
	if v.absent() {
		return domain.Event{}, domain.Invalid(".status", "is required")
	}
	if !v.is('{') {
		return domain.Event{}, domain.Invalid(".status", "must be an object")
	}
	var word, text value
	for name, m := range v.members() {
		switch string(name) {
		case "value":
			word = m
		case "message":
			text = m
		}
	}
	said, err := requiredText(".status.value", word)
	if err != nil {
		return domain.Event{}, err
	}
	reason := ""
	switch status := domain.Status(said); status {
	case domain.StatusSent, domain.StatusDelivered, domain.StatusRead: // a message along with these is ignored
	case domain.StatusFailed:
		if reason, err = requiredText(".status.message", text); err != nil {
			return domain.Event{}, err
		}
		reason = domain.Cut(reason, domain.MaxDetail)
	default:
		return domain.Event{}, domain.Invalid(".status.value", "must be one of sent, delivered, read, failed")
	}
	return r.channel.Receipt(r.ref, external, domain.Status(said), reason, at, r.now), nil
}

func readMID(v value) (string, error) {
	if v.absent() {
		return "", domain.Invalid(".mId", "is required")
	}
	id, ok := v.id()
	switch {
	case !ok:
		return "", domain.Invalid(".mId", notText)
	case id == "":
		return "", domain.Invalid(".mId", "is required")
	case tooLong(id, maxMID):
		return "", domain.Invalid(".mId", "must be at most %d characters", maxMID)
	}
	return id, nil
}

// readTimestamp reads milliseconds, or seconds, since 1970 (section 3.4).
func readTimestamp(v value) (time.Time, error) {
	if v.absent() {
		return time.Time{}, domain.Invalid(".timestamp", "is required")
	}
	ms := int64(0)
	if s, ok := v.text(); ok {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && digits(s, len(s)) {
			ms = n
		}
	} else if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		ms = n
	} else if f, ok := v.float(); ok && f <= mostMilliseconds { // a fraction is dropped
		ms = int64(f)
	}
	if ms > 0 && ms < leastMilliseconds {
		ms *= 1000
	}
	if ms <= 0 || ms > mostMilliseconds {
		return time.Time{}, domain.Invalid(".timestamp", "must be milliseconds since 1970")
	}
	return time.UnixMilli(ms).UTC(), nil
}
