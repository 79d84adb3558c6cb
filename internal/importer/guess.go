package importer

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// Guess is one thing that the manifest says, and the line that says so.
type Guess struct {
	Of    string `json:"of"` // the service, accessory or environment
	Key   string `json:"key"`
	Value string `json:"value"` // as it stands in the manifest; of variables and secrets the names
	From  Place  `json:"from"`
}

// guesses lists what the manifest says, in its order.
func (b *builder) guesses() []Guess {
	all := []Guess{}
	for _, units := range [][]*unit{b.services, b.functions, b.queues, b.accessories, b.settings} {
		for _, u := range units {
			for _, key := range order {
				if i := u.index(key); i >= 0 {
					all = append(all, Guess{u.name, key, shown(u.keys[i]), u.keys[i].from.where()})
				}
			}
		}
	}
	return all
}

// shown is a value on one line.
func shown(s said) string {
	if entries, ok := s.value.([]said); ok && s.key == "env" {
		var names []string
		for _, e := range entries {
			names = append(names, e.key)
		}
		return strings.Join(names, ", ")
	}
	if names, ok := s.value.([]string); ok && s.key == "secrets" {
		return strings.Join(names, ", ")
	}
	n := encode(s.value)
	flow(n)
	text, err := yaml.Marshal(n)
	if err != nil {
		return "" // what encode makes can be written
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// flow writes a node on one line.
func flow(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		flow(c)
	}
}

func names(units []*unit) []string {
	all := []string{}
	for _, u := range units {
		all = append(all, u.name)
	}
	return all
}
