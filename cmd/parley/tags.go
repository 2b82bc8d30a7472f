package main

// tagSettings are the flags of a tag.
type tagSettings struct {
	Name string `help:"The word itself." placeholder:"NAME"`
}

func (tagSettings) path() string { return "/v1/tags" }

func (tagSettings) columns() []column { return []column{{"NAME", "name"}} }

func (t tagSettings) body() fields {
	f := fields{}
	f.text("name", t.Name)
	return f
}
