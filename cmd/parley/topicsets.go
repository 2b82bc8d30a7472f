package main

// topicSetSettings are the flags of a topic set.
type topicSetSettings struct {
	Name  string  `help:"Name that operators see." placeholder:"NAME"`
	Topic []topic `help:"A topic of the set, again for each. In a change these are all topics from now on; 3=NAME is the one of number 3." placeholder:"NAME" sep:"none"`
}

func (topicSetSettings) path() string { return "/v1/topic-sets" }

func (topicSetSettings) columns() []column {
	return []column{{"NAME", "name"}, {"TOPIC IDS", "topics.id"}, {"TOPICS", "topics.name"}}
}

func (t topicSetSettings) body() fields {
	f := fields{}
	f.text("name", t.Name)
	if len(t.Topic) > 0 {
		f["topics"] = t.Topic
	}
	return f
}
