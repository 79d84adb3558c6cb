package manifest

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Written is a place of a manifest at which a key stands.
type Written struct {
	Path  string `json:"path"` // services.orders.rollout
	Line  int    `json:"line"`
	Value string `json:"value"` // as YAML, on one line
}

// Origin is where a setting of a service in an environment comes from.
type Origin struct {
	Env     string   `json:"env"`
	Service string   `json:"service"`
	From    []string `json:"from"` // paths, the most specific last; empty: the default
}

// Where tells where a key stands in a manifest that [Parse] has read as app, and for
// a setting of services which of these places each service goes by. What stands
// where the key means nothing, as a variable of that name, is not it.
func Where(src []byte, app *App, name string) (written []Written, origins []Origin) {
	names, places := []string{}, Place(0)
	for _, k := range Keys() {
		if k.Name == name || slices.Contains(k.Aliases, name) {
			names, places = append(append(names, k.Name), k.Aliases...), places|k.Places
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil || len(doc.Content) == 0 {
		return nil, nil
	}
	walkKeys(doc.Content[0], nil, func(path []string, key, value *yaml.Node) {
		if slices.Contains(names, key.Value) && places&placeOf(path) != 0 {
			written = append(written, Written{Path: strings.Join(append(slices.Clone(path), key.Value), "."), Line: key.Line, Value: oneLine(value)})
		}
	})
	if places&everywhere == 0 {
		return written, nil
	}
	for _, e := range app.Environments {
		for _, s := range e.Services {
			if s.Function != nil && places&ofFunctions != 0 || s.Function == nil && places&(inService|inOverride) != 0 {
				origins = append(origins, origin(written, names, e.Name, s))
			}
		}
	}
	return written, origins
}

// layersFor are the places that say how a workload runs, the most specific last.
func layersFor(written []Written, env string, s Service) []string {
	if s.Function == nil {
		return []string{"defaults", "services." + s.Name, "environments." + env, "environments." + env + ".services." + s.Name}
	}
	keys := func(under string) []string {
		var scopes []scope
		for _, w := range written {
			before, _ := cut(w.Path)
			if name, ok := strings.CutPrefix(before, under+"."); ok && !slices.ContainsFunc(scopes, func(o scope) bool { return o.name == name }) {
				if patterns, err := parsePatterns(name); err == nil {
					scopes = append(scopes, scope{section{pair: pair{name: name, path: before}}, patterns})
				}
			}
		}
		var out []string
		for _, said := range scoped(scopes, s.Function.Path) {
			out = append(out, said.at)
		}
		return out
	}
	return slices.Concat([]string{"defaults"}, keys("functions"), []string{"environments." + env}, keys("environments."+env+".functions"))
}

// origin is what a service in an environment goes by: the most specific place, or
// all of them where entries are merged.
func origin(written []Written, names []string, env string, s Service) Origin {
	o := Origin{Env: env, Service: s.Name, From: []string{}}
	for _, layer := range layersFor(written, env, s) {
		for _, w := range written {
			if before, last := cut(w.Path); before == layer && slices.Contains(names, last) {
				o.From = append(o.From, w.Path)
			}
		}
	}
	merged := slices.ContainsFunc(names, func(n string) bool {
		return slices.Contains([]string{"env", "alarms", "hooks", "limits", "secrets"}, n)
	})
	if n := len(o.From); n > 1 && !merged {
		o.From = o.From[n-1:]
	}
	return o
}

func cut(path string) (before, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

func walkKeys(n *yaml.Node, path []string, visit func(path []string, key, value *yaml.Node)) {
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			walkKeys(c, append(slices.Clone(path), "[]"), visit)
		}
		return
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		visit(path, n.Content[i], n.Content[i+1])
		walkKeys(n.Content[i+1], append(slices.Clone(path), n.Content[i].Value), visit)
	}
}

// placeOf is the place that the keys of a table at the path stand in; 0: in none, as
// those that people name themselves.
func placeOf(path []string) Place {
	switch {
	case len(path) == 0:
		return atTop
	case path[0] == "defaults":
		return below(path[1:], inDefaults)
	case path[0] == "services" && len(path) > 1:
		return below(path[2:], inService)
	case path[0] == "functions" && len(path) > 1:
		return below(path[2:], inFunction)
	case path[0] == "queues" && len(path) == 2:
		return inQueue
	case path[0] == "environments" && len(path) > 3 && path[2] == "services":
		return below(path[4:], inOverride)
	case path[0] == "environments" && len(path) > 3 && path[2] == "functions":
		return below(path[4:], inFunctionOverride)
	case path[0] == "environments" && len(path) > 1 && !slices.Equal(path[2:], []string{"services"}) && !slices.Equal(path[2:], []string{"functions"}):
		return below(path[2:], inEnvironment)
	case path[0] == "registries" && len(path) == 2:
		return inRegistry
	case path[0] == "accessories" && len(path) == 2:
		return inAccessory
	case path[0] == "accessories" && len(path) == 3 && path[2] == "backup":
		return inBackup
	}
	return 0
}

func below(rest []string, here Place) Place {
	switch strings.Join(rest, ".") {
	case "":
		return here
	case "build":
		return inBuild
	case "hooks":
		return inHooks
	case "limits":
		return inLimits
	case "scale":
		return inScale
	case "http":
		return inHTTP
	case "http.cors":
		return inCORS
	case "http.jwt":
		return inJWT
	case "cron", "cron.[]":
		return inTimer
	case "queue", "queue.[]":
		return inTaken
	case "maintenance", "routes.[].maintenance":
		return inMaintenance
	case "routes.[]":
		return inRoute
	case "routes.[].rewrite":
		return inRewrite
	case "routes.[].redirect":
		return inRedirect
	case "routes.[].responseHeaders":
		return inResponseHeaders
	case "match", "match.[]":
		return inMatch
	case "rollout":
		return inRollout
	case "rollout.blueGreen":
		return inBlueGreen
	case "rollout.steps.[]":
		return inStep
	}
	if len(rest) == 2 {
		return map[string]Place{"alarms": inAlarm, "env": inAddress, "volumes": inVolume}[rest[0]]
	}
	return 0
}

// oneLine is a value as YAML on a line.
func oneLine(n *yaml.Node) string {
	flowing := *n
	if n.Kind != yaml.ScalarNode {
		flowing.Style = yaml.FlowStyle
	}
	flowing.HeadComment, flowing.LineComment, flowing.FootComment = "", "", ""
	text, err := yaml.Marshal(&flowing)
	if err != nil {
		return n.Value
	}
	return strings.Join(strings.Fields(cmp.Or(string(text), n.Value)), " ")
}
