package callback

import (
	"context"

	"github.com/parley-im/parley/domain"
)

func (s *tables) OpenTargets(ctx context.Context, partition int) ([]string, error) {
	return s.OpenChannels(ctx, partition)
}

func (s *tables) Made(partition int, offset int64) (domain.Delivery, bool) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	r := s.log.partitions[partition][offset]
	if _, ok := r.Data.(domain.MessageSent); !ok || s.Repeated(partition, offset) {
		return domain.Delivery{}, false
	}
	return domain.DeliveryOf(r, nil, false)
}
