package domain

import (
	"cmp"
	"strconv"
	"strings"
)

// Target names the endpoint that the delivery goes to: its channel, whose
// callback it is, "<channel>#<number>" for a function, or "sub~<id>" for a
// subscription. A function that hangs takes nothing from callbacks, nor the other
// way round.
func (d Delivery) Target() string {
	switch d.Kind {
	case DeliverFunction:
		return FunctionTarget(d.Channel, d.Subject.Function)
	case DeliverSubscription:
		return SubscriptionTarget(d.Subject.Subscription)
	case DeliverNotice:
		return cmp.Or(d.noticeTarget(), d.Channel)
	default:
		return d.Channel
	}
}

func (d Delivery) noticeTarget() string {
	if d.Subject.Notice == nil {
		return ""
	}
	return d.Subject.Notice.Target
}

// FunctionTarget names a function as the endpoint of a channel.
func FunctionTarget(channel string, function int64) string {
	return channel + "#" + strconv.FormatInt(function, 10)
}

// ChannelOf gives the channel that a target belongs to; a subscription belongs to
// none and gives the target.
func ChannelOf(target string) string {
	channel, _, _ := strings.Cut(target, "#")
	return channel
}

// Lane names what keeps its order: the conversation at its target.
func (d Delivery) Lane() string { return LaneAt(d.Target(), d.Channel, d.ContactRef) }

// LaneAt names the lane of a contact's conversation at a target. It begins with
// the target and a slash. Channels that one subscription hears of have lanes of
// their own, whatever they call their contacts.
func LaneAt(target, channel, ref string) string {
	if hearsMany(target) {
		return StreamOf(target, StreamOf(channel, ref))
	}
	return StreamOf(target, ref)
}

// RefOfLane gives the contact reference that a lane was named with.
func RefOfLane(lane string) string {
	target, ref, _ := SplitStream(lane)
	if hearsMany(target) {
		_, ref, _ = SplitStream(ref)
	}
	return ref
}

// hearsMany tells whether a target is told of more than one channel.
func hearsMany(target string) bool {
	_, subscribed := SubscriptionOf(target)
	return subscribed || strings.HasPrefix(target, webhookTarget)
}

// TargetOf gives the target of the delivery that an event is about.
func (e Event) TargetOf() string {
	target := ""
	switch d := e.Data.(type) {
	case DeliveryAttempted:
		target = d.Target
	case DeliveryRedriven:
		target = d.Target
	case DeliveryDropped:
		target = d.Target
	}
	if target == "" {
		return e.Channel
	}
	return target
}

// LaneOf gives the lane of the delivery that an event is about.
func (e Event) LaneOf() string { return LaneAt(e.TargetOf(), e.Channel, e.ContactRef) }

// target is what events say of the target: nothing when it is the channel.
func (d Delivery) target() string {
	if target := d.Target(); target != d.Channel {
		return target
	}
	return ""
}
