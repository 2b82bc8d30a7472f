package respondio

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds the channels whose rate is remembered.
const maxBuckets = 10_000

// limiter keeps the requests of each channel below a rate: a token bucket whose
// size and refill are the same number (section 3.9). nil limits nothing.
type limiter struct {
	perSecond int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter // by channel id
}

func newLimiter(perSecond int) *limiter {
	if perSecond <= 0 {
		return nil
	}
	return &limiter{perSecond: perSecond, buckets: map[string]*rate.Limiter{}}
}

// allow tells whether a channel may make a request now.
func (l *limiter) allow(channel string, now time.Time) bool {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.buckets[channel]
	if bucket == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweep(now)
		}
		bucket = rate.NewLimiter(rate.Limit(l.perSecond), l.perSecond)
		l.buckets[channel] = bucket
	}
	return bucket.AllowN(now, 1)
}

// sweep forgets full buckets, which are as good as new ones; when there is none,
// one that is not, which lets that channel make some requests too many.
func (l *limiter) sweep(now time.Time) {
	some := ""
	for channel, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(l.perSecond) {
			delete(l.buckets, channel)
		}
		some = channel
	}
	if len(l.buckets) >= maxBuckets {
		delete(l.buckets, some)
	}
}
