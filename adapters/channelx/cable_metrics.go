package channelx

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// frameKind is what a frame to a client is. It is a label of metrics.
type frameKind string

// The kinds.
const (
	frameWelcome    frameKind = "welcome"
	framePing       frameKind = "ping"
	frameConfirm    frameKind = "confirm_subscription"
	frameReject     frameKind = "reject_subscription"
	frameEvent      frameKind = "event"
	framePresence   frameKind = "presence"
	frameDisconnect frameKind = "disconnect"
)

var frameKinds = [...]frameKind{frameWelcome, framePing, frameConfirm, frameReject, frameEvent, framePresence, frameDisconnect}

// cutReason is why a socket was refused or ended by us. It is a label of metrics.
type cutReason string

// The reasons.
const (
	cutNode     cutReason = "node"     // refused: the node has as many as it takes
	cutAddress  cutReason = "address"  // refused: their address has
	cutStopping cutReason = "stopping" // refused, or ended: the node goes
	cutSlow     cutReason = "slow"     // more waits for it than is kept
	cutStuck    cutReason = "stuck"    // a frame could not be written in time
	cutSilent   cutReason = "silent"   // it does not answer
	cutFrame    cutReason = "frame"    // it sent what is too large, or no text
	cutRows     cutReason = "rows"     // its tokens cannot be looked up
)

var cutReasons = [...]cutReason{cutNode, cutAddress, cutStopping, cutSlow, cutStuck, cutSilent, cutFrame, cutRows}

// cableMetrics are the numbers of the sockets.
type cableMetrics struct {
	sockets, subscriptions prometheus.Gauge
	frames                 map[frameKind]prometheus.Counter // fixed after newCableMetrics
	cut                    map[cutReason]prometheus.Counter // likewise
	shown                  prometheus.Histogram
}

func newCableMetrics(reg prometheus.Registerer) (*cableMetrics, error) {
	frames := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channelx_frames_total",
		Help: "Frames written to ChannelX sockets, by what they are.",
	}, []string{"kind"})
	cut := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_channelx_cut_total",
		Help: "ChannelX sockets that were refused or ended by this node, by reason.",
	}, []string{"reason"})
	m := &cableMetrics{
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_channelx_sockets",
			Help: "ChannelX sockets that are open on this node.",
		}),
		subscriptions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "parley_channelx_subscriptions",
			Help: "Subscriptions of ChannelX sockets on this node.",
		}),
		frames: map[frameKind]prometheus.Counter{}, cut: map[cutReason]prometheus.Counter{},
		shown: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:                        "parley_channelx_shown_seconds",
			Help:                        "Time from when an event was taken in until it waits at the sockets that it is shown to.",
			Buckets:                     prometheus.ExponentialBuckets(.001, 2, 15),
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	for _, c := range []prometheus.Collector{frames, cut, m.sockets, m.subscriptions, m.shown} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of the ChannelX sockets: %w", err)
		}
	}
	for _, kind := range frameKinds {
		m.frames[kind] = frames.WithLabelValues(string(kind))
	}
	for _, reason := range cutReasons {
		m.cut[reason] = cut.WithLabelValues(string(reason))
	}
	return m, nil
}
