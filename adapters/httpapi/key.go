package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-im/parley/domain"
)

const tagKeys = "Keys"

// keyLife is how long a key is kept after another has taken its place: as long as
// the longest-lived of what it signs (voximplant-kit.md 3.3).
const keyLife = 24 * time.Hour

// keyInput says which key is to be rotated.
type keyInput struct {
	Purpose string `json:"purpose,omitempty" enum:"login" doc:"login, the default: signs the access and refresh tokens of integrations."`
}

// keyView is a key without its secret.
type keyView struct {
	ID        string            `json:"id"`
	Purpose   domain.KeyPurpose `json:"purpose" enum:"login,conversation"`
	CreatedAt time.Time         `json:"created_at"`
}

func showKey(k domain.SignKey) keyView {
	return keyView{ID: k.ID, Purpose: k.Purpose, CreatedAt: k.CreatedAt}
}

func (p *platform) keyRoutes() {
	handle(p, operation{
		id: "list-keys", method: http.MethodGet, path: "/v1/keys", tag: tagKeys, need: domain.RoleAdmin,
		summary:     "List the installation's keys",
		description: "By purpose, newest first. The newest signs; older ones still read what they have signed. Only for tokens of the account default.",
	}, p.listKeys)
	handle(p, operation{
		id: "rotate-key", method: http.MethodPost, path: "/v1/keys/rotate", tag: tagKeys, need: domain.RoleAdmin,
		summary: "Take a new key", status: http.StatusCreated,
		description: "Keys that were superseded more than 24 h ago are deleted. Only for tokens of the account default.",
	}, p.rotateKey)
}

func (p *platform) listKeys(_ context.Context, c caller, _ *struct{}) (*shownOutput[list[keyView]], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	all := append(p.Directory.SignKeys(domain.KeyLogin), p.Directory.SignKeys(domain.KeyConversation)...)
	return &shownOutput[list[keyView]]{listOf(all, "", showKey)}, nil
}

// rotateKey makes the new key before it deletes old ones: whatever the process
// dies on, there is a key, and a repeat deletes the rest.
func (p *platform) rotateKey(ctx context.Context, c caller, in *struct {
	KeyParam
	Body *keyInput
},
) (*shownOutput[keyView], error) {
	if err := c.installation(); err != nil {
		return nil, err
	}
	leave, err := p.alone(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	const purpose = domain.KeyLogin // the only one that is rotated
	id, err := p.thingID(in.Key, "sign-key", string(purpose))
	if err != nil {
		return nil, err
	}
	made, err := p.signKey(ctx, id, purpose)
	if err != nil {
		return nil, err
	}
	keys := p.Directory.SignKeys(purpose)
	for i := 1; i < len(keys); i++ {
		if p.Now().Sub(keys[i-1].CreatedAt) > keyLife {
			if err := p.Directory.DeleteSignKey(ctx, keys[i].ID); err != nil && domain.CodeOf(err) != domain.CodeNotFound {
				return nil, err
			}
		}
	}
	return &shownOutput[keyView]{showKey(made)}, nil
}

// signKey gives the key of that id, which an earlier request under the same
// idempotency key has made, or makes it.
func (p *platform) signKey(ctx context.Context, id string, purpose domain.KeyPurpose) (domain.SignKey, error) {
	for _, k := range p.Directory.SignKeys(purpose) {
		if k.ID == id {
			return k, nil
		}
	}
	secret, err := domain.NewSignKeySecret(p.Random)
	if err != nil {
		return domain.SignKey{}, err
	}
	return p.Directory.CreateSignKey(ctx, domain.SignKey{ID: id, Purpose: purpose, Secret: secret, CreatedAt: domain.Stamp(p.Now())})
}
