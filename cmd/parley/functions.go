package main

// functionSettings are the flags of a function.
type functionSettings struct {
	Name        string `help:"Name that operators see." placeholder:"NAME"`
	FunctionURL string `help:"Where the function is called." placeholder:"URL"`
}

func (functionSettings) path() string { return "/v1/functions" }

func (functionSettings) columns() []column { return []column{{"NAME", "name"}, {"URL", "url"}} }

func (s functionSettings) body() fields {
	f := fields{}
	f.text("name", s.Name)
	f.text("url", s.FunctionURL)
	return f
}
