package channelx

import "github.com/parley-im/parley/domain"

// What events tell, with what only sockets are told.
type (
	toldMessage struct {
		pushMessageForm

		Performer *pushUserForm     `json:"performer,omitempty"`
		Previous  map[string][2]any `json:"previous_changes,omitempty"`
	}
	toldConversation struct {
		pushConversationForm

		Performer *pushUserForm `json:"performer,omitempty"`
	}
	toldTyping struct {
		Conversation pushConversationForm `json:"conversation"`
		User         any                  `json:"user"`
		Private      bool                 `json:"is_private"`
		AccountID    int64                `json:"account_id"`
		Performer    *pushUserForm        `json:"performer,omitempty"`
	}
	toldContact struct {
		pushContactForm

		AccountID int64         `json:"account_id"`
		Performer *pushUserForm `json:"performer,omitempty"`
	}
	toldRemoved struct {
		ID        int64 `json:"id"`
		AccountID int64 `json:"account_id"`
	}
)

// data is what one thing is shown as.
func (t *teller) data(account string, s shown) any {
	v := *t.cable.view
	v.there.operators = t.cable.roll.lately(account, domain.PresentOperator)
	var performer *pushUserForm
	if s.by != nil {
		performer = new(pushUserOf(*s.by, v.there.operator(s.by.ID)))
	}
	switch {
	case s.typing != nil:
		told := toldTyping{
			Conversation: v.pushConversationOf(*s.scene, false), Private: s.typing.Private, AccountID: s.scene.Account.ID, Performer: performer,
		}
		if told.User = any(pushContactOf(s.scene.Person)); performer != nil {
			told.User = performer
		}
		return told
	case s.message != nil:
		told := toldMessage{pushMessageForm: v.pushMessageOf(*s.message, *s.scene, s.echo), Performer: performer}
		if len(s.changes) > 0 {
			told.Previous = make(map[string][2]any, len(s.changes))
			for _, c := range s.changes {
				told.Previous[c.Name] = [2]any{c.Previous, c.Current}
			}
		}
		return told
	case s.scene != nil:
		return toldConversation{pushConversationForm: v.pushConversationOf(*s.scene, false), Performer: performer}
	case s.person != nil:
		return toldContact{pushContactForm: pushContactOf(*s.person), AccountID: v.account(account).ID, Performer: performer}
	default:
		return toldRemoved{ID: s.removed, AccountID: v.account(account).ID}
	}
}
