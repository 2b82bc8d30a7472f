package main

// skillSettings are the flags of a skill.
type skillSettings struct {
	Name string `help:"What is known, such as Czech." placeholder:"NAME"`
}

func (skillSettings) path() string { return "/v1/skills" }

func (skillSettings) columns() []column { return []column{{"NAME", "name"}} }

func (s skillSettings) body() fields {
	f := fields{}
	f.text("name", s.Name)
	return f
}
