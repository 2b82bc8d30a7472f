package main

// agentSettings are the flags of an agent.
type agentSettings struct {
	Username    string       `help:"Login name, unique in the account." placeholder:"NAME"`
	DisplayName string       `help:"Name that contacts see." placeholder:"NAME"`
	Email       string       `help:"E-mail address." placeholder:"ADDRESS"`
	Avatar      string       `help:"Picture." placeholder:"URL"`
	Ready       *bool        `help:"Whether queues give the agent conversations." negatable:""`
	MostOpen    *int         `help:"How many open conversations queues give the agent at a time." placeholder:"N"`
	Queues      *numbers     `help:"Numbers of the queues that the agent serves, such as 1,2; or none." placeholder:"N,..."`
	Skills      *skillLevels `help:"Skills and their levels from 1 to 5, such as 3=5,7=2; or none." placeholder:"SKILL=LEVEL,..."`
}

func (agentSettings) path() string { return "/v1/agents" }

func (agentSettings) columns() []column {
	return []column{
		{"USERNAME", "username"}, {"DISPLAY NAME", "display_name"}, {"READY", "ready"}, {"MOST OPEN", "most_open"},
		{"QUEUES", "queues"}, {"SKILLS", "skills.skill_id"},
	}
}

func (a agentSettings) body() fields {
	f := fields{}
	f.text("username", a.Username)
	f.text("display_name", a.DisplayName)
	f.text("email", a.Email)
	f.text("avatar", a.Avatar)
	given(f, "ready", a.Ready)
	given(f, "most_open", a.MostOpen)
	given(f, "queues", a.Queues)
	given(f, "skills", a.Skills)
	return f
}
