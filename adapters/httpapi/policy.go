package httpapi

import (
	"encoding/json"
	"fmt"

	"github.com/parley-im/parley/domain"
)

// deliveryInput is a delivery policy as a person writes it.
type deliveryInput struct {
	Schedule    *[]string `json:"schedule,omitempty" maxItems:"100" doc:"Waits between tries, such as 30s or 2h. Absent: the default (1s 5s 30s 2m 10m 30m 1h 2h, then every 4h to max_age). The empty list: a single attempt."`
	MaxAge      string    `json:"max_age,omitempty" doc:"No try starts later than this after the first one; at most 720h. Default 72h." example:"72h"`
	OnExhausted string    `json:"on_exhausted,omitempty" enum:"park,continue" doc:"What a used-up schedule means for later messages of the conversation: they wait until the dead letter is redriven or dropped, or go on. Default park; continue where the schedule is the empty list."`
}

// policy gives the domain's form.
func (d *deliveryInput) policy() (domain.DeliveryPolicy, error) {
	if d == nil {
		return domain.DeliveryPolicy{}, nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return domain.DeliveryPolicy{}, fmt.Errorf("read delivery policy: %w", err)
	}
	var p domain.DeliveryPolicy
	if err := json.Unmarshal(text, &p); err != nil {
		return domain.DeliveryPolicy{}, err
	}
	return p, nil
}

// deliveryPolicyView is a delivery policy; what is absent is the default.
type deliveryPolicyView struct {
	Schedule    *[]string `json:"schedule,omitempty" doc:"Waits between tries; absent is the default, the empty list a single attempt."`
	MaxAge      string    `json:"max_age,omitempty" doc:"Absent is 72h."`
	OnExhausted string    `json:"on_exhausted" enum:"park,continue"`
}

func showPolicy(d domain.DeliveryPolicy) deliveryPolicyView {
	policy := deliveryPolicyView{OnExhausted: domain.OnExhaustedContinue}
	if d.ParksExhausted() {
		policy.OnExhausted = domain.OnExhaustedPark
	}
	if d.Schedule != nil {
		waits := make([]string, len(d.Schedule))
		for i, w := range d.Schedule {
			waits[i] = w.String()
		}
		policy.Schedule = &waits
	}
	if d.MaxAge != 0 {
		policy.MaxAge = d.MaxAge.String()
	}
	return policy
}
