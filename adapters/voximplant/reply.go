package voximplant

import (
	"errors"

	"github.com/parley-im/parley/domain"
)

// maxCommands bounds the items of a reply that are looked at.
const maxCommands = 100

// reply is what a function answered (section 7), as it stands there: whether what
// it names is there is looked up later. Zero values ask for nothing.
type reply struct {
	text        string
	finish      bool
	transfers   []transfer
	tags        []int64
	replaceTags bool
	custom      domain.Texts
	variables   domain.Texts
}

// transfer asks for a queue, or for a user.
type transfer struct {
	toUser   bool
	number   int64  // 0 = by name
	name     string // of a queue, or e-mail of a user
	skills   []domain.SkillLevel
	priority int64
}

// readReply reads the answer of a function.
func readReply(a domain.Answer) (reply, error) {
	if a.Truncated {
		return reply{}, errors.New("the answer is too long")
	}
	return parseReply(a.Body)
}

// parseReply reads a reply. Only what is no JSON object is an error; what is of an
// unexpected kind in it asks for nothing.
func parseReply(body []byte) (reply, error) {
	v, err := parse(body)
	if err != nil {
		return reply{}, err
	}
	var r reply
	var payload, variables value
	for name, m := range v.members() {
		switch string(name) {
		case "text":
			r.text, _ = m.text()
		case "payload":
			payload = m
		case "variables":
			variables = m
		}
	}
	r.text = domain.Cut(r.text, domain.LimitsOf(domain.DialectVoximplant).Text)
	r.variables = texts(variables)
	if payload.is('[') {
		for i, item := range payload.elements() {
			if i == maxCommands {
				break
			}
			if item.is('{') {
				r.item(item)
			}
		}
	}
	return r, nil
}

// texts reads an object of texts; a value that is none is left out.
func texts(v value) domain.Texts {
	if !v.is('{') {
		return nil
	}
	all := domain.Texts{}
	for name, m := range v.members() {
		if s, ok := m.text(); ok {
			all[string(name)] = s
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func (r *reply) item(v value) {
	kind, _ := v.member("type").text()
	name, _ := v.member("name").text()
	switch {
	case kind == "custom_data":
		r.keep(name, v.member("data"))
	case kind != "cmd":
	case name == "finish_request":
		r.finish = true
	case name == "transfer_to_queue":
		queue := v.member("queue")
		t := transfer{skills: readSkills(v.member("skills"))}
		t.number, _ = queue.member("queue_id").integer()
		t.name, _ = queue.member("queue_name").text()
		t.priority, _ = v.member("priority").integer()
		r.transfers = append(r.transfers, t)
	case name == "transfer_to_user":
		user := v.member("user")
		t := transfer{toUser: true}
		t.number, _ = user.member("user_id").integer()
		t.name, _ = user.member("user_email").text()
		r.transfers = append(r.transfers, t)
	case name == "bind_tags":
		r.bind(v.member("tags"), v.member("replace").boolean())
	}
}

// keep keeps data by a name: JSON as text, or, of functions that did not make it a
// text, the JSON itself.
func (r *reply) keep(name string, data value) {
	if name == "" || data.absent() {
		return
	}
	s, ok := data.text()
	if !ok {
		s = string(data.kept())
	}
	if r.custom == nil {
		r.custom = domain.Texts{}
	}
	r.custom[name] = s
}

func (r *reply) bind(tags value, replace bool) {
	if !tags.is('[') {
		return
	}
	if replace {
		r.tags, r.replaceTags = nil, true
	}
	for _, t := range tags.elements() {
		if n, ok := t.integer(); ok && len(r.tags) < domain.MaxTags {
			r.tags = append(r.tags, n)
		}
	}
}

// readSkills reads the skills of a transfer; those that cannot be are left out.
func readSkills(v value) []domain.SkillLevel {
	if !v.is('[') {
		return nil
	}
	var skills []domain.SkillLevel
	for _, s := range v.elements() {
		skill, _ := s.member("skill_id").integer()
		level, ok := s.member("level").integer()
		if skill > 0 && ok && level >= 1 && level <= 5 && len(skills) < domain.MaxSkills {
			skills = append(skills, domain.SkillLevel{Skill: skill, Level: int(level)})
		}
	}
	return skills
}
