package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// ExplainKey returns the page of a key for `titrate explain KEY`, in Markdown;
// ok is false for a word that is no key. A key that means different things in
// different places has one page with all of them.
func ExplainKey(name string) (page string, ok bool) {
	var b strings.Builder
	for _, k := range Keys() {
		if k.Name != name && !slices.Contains(k.Aliases, name) {
			continue
		}
		if !ok {
			fmt.Fprintf(&b, "# %s\n\n", k.Name)
		} else {
			b.WriteString("\n")
		}
		ok = true
		k.describe(&b)
		if nested := k.nested(); nested != 0 {
			fmt.Fprintf(&b, "\nIts keys: %s.\n", strings.Join(namesIn(nested), ", "))
		}
	}
	return b.String(), ok
}

// KeyNames returns the names of all keys that are served, sorted.
func KeyNames() []string {
	var out []string
	for _, k := range Keys() {
		if k.Later == "" {
			out = append(out, k.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// NearKey returns the key that a person who typed word most likely meant, as it stands or
// as a path (services.web.port); empty when none is near.
func NearKey(word string) string {
	for part := word; ; {
		if near := nearest(part[strings.LastIndexByte(part, '.')+1:], KeyNames()); near != "" {
			return near
		}
		i := strings.LastIndexByte(part, '.')
		if i < 0 {
			return ""
		}
		part = part[:i]
	}
}

func namesIn(place Place) []string {
	var out []string
	for _, k := range Keys() {
		if k.Places&place != 0 && k.Later == "" {
			out = append(out, k.Name)
		}
	}
	return out
}

// nested is where the keys below this one stand.
func (k Key) nested() Place {
	if k.Later != "" {
		return 0
	}
	switch k.Name {
	case "defaults":
		return inDefaults
	case "build":
		return inBuild
	case "hooks":
		return inHooks
	case "limits":
		return inLimits
	case "scale":
		return either(k.Places&ofFunctions != 0, inScale, 0)
	case "http":
		return inHTTP
	case "routes":
		return either(k.Places&inService != 0, inRoute, 0)
	case "rewrite":
		return inRewrite
	case "redirect":
		return inRedirect
	case "maintenance":
		return inMaintenance
	case "responseHeaders":
		return inResponseHeaders
	case "match":
		return inMatch
	case "cors":
		return inCORS
	case "jwt":
		return inJWT
	case "cron":
		return either(k.Places == ofFunctions, inTimer, 0)
	case "queue":
		return inTaken
	case "queues":
		return inQueue
	case "functions":
		return either(k.Places == atTop, inFunction, inFunctionOverride)
	case "registries":
		return inRegistry
	case "accessories":
		return inAccessory
	case "backup":
		return inBackup
	case "volumes":
		return inVolume
	case "rollout":
		return inRollout
	case "blueGreen":
		return inBlueGreen
	case "steps":
		return inStep
	case "alarms":
		return inAlarm
	case "env":
		return inAddress
	case "environments":
		return inEnvironment
	case "services":
		if k.Places == atTop {
			return inService
		}
		return inOverride
	}
	return 0
}

// describe writes what there is to know of a key.
func (k Key) describe(b *strings.Builder) {
	if k.Later != "" {
		fmt.Fprintf(b, "In %s: not available yet; a manifest that holds it is refused. Until then: %s.\n", k.Places, k.Later)
		return
	}
	fmt.Fprintf(b, "In %s.\n\n%s\n\n", k.Places, k.Doc)
	fmt.Fprintf(b, "- Takes: %s\n", k.kind.accepts)
	if k.Default != "" {
		fmt.Fprintf(b, "- Default: %s\n", k.Default)
	}
	if len(k.Aliases) > 0 {
		fmt.Fprintf(b, "- Also read: %s\n", strings.Join(k.Aliases, ", "))
	}
	if k.Example != "" {
		fmt.Fprintf(b, "\n```yaml\n%s\n```\n", k.Example)
	}
}

// Reference returns the reference page of the manifest, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, part := range []struct {
		title string
		place Place
	}{
		{"Top level", atTop},
		{"Settings of services", settings},
		{"Settings of functions", ofFunctions},
		{"Environments", inEnvironment},
		{"build", inBuild},
		{"hooks", inHooks},
		{"limits", inLimits},
		{"A volume in its long form", inVolume},
		{"rollout", inRollout},
		{"rollout.blueGreen", inBlueGreen},
		{"A step", inStep},
		{"An alarm in its long form", inAlarm},
		{"scale of a function", inScale},
		{"http", inHTTP},
		{"http.cors", inCORS},
		{"http.jwt", inJWT},
		{"A schedule in its long form", inTimer},
		{"A queue of a function in its long form", inTaken},
		{"A queue", inQueue},
		{"A variable with the address of a service", inAddress},
		{"An accessory", inAccessory},
		{"An accessory's backup", inBackup},
		{"A registry", inRegistry},
	} {
		fmt.Fprintf(&b, "\n## %s\n", part.title)
		if part.place == ofFunctions {
			fmt.Fprintf(&b, "\nBeside these they have, as services do: %s.\n", strings.Join(alsoOfFunctions(), ", "))
		}
		for _, k := range Keys() {
			if k.Later != "" || !k.under(part.place) {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n", k.Name)
			k.describe(&b)
		}
	}
	b.WriteString("\n## Not available yet\n\nThese are refused with their line, never ignored.\n\n| key | in | until then |\n|---|---|---|\n")
	for _, k := range Keys() {
		if k.Later != "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, k.Places, k.Later)
		}
	}
	return b.String()
}

// under reports whether a key is told of in the reference's part for a place: each
// setting stands in one of them.
func (k Key) under(place Place) bool {
	forServices, forCalls := k.Places&(inService|inOverride) != 0, k.Places&ofFunctions != 0
	switch place {
	case inEnvironment:
		return k.Places&inEnvironment != 0 && (k.Places&(inDefaults|inService|inOverride) == 0 || k.Name == "overlap")
	case settings:
		common := k.Places == inDefaults|inEnvironment && k.Name != "overlap"
		return forServices || common
	case ofFunctions:
		return forCalls && !forServices
	default:
		return k.Places&place != 0
	}
}

// alsoOfFunctions are the settings that services and functions have.
func alsoOfFunctions() []string {
	var out []string
	for _, k := range Keys() {
		if k.Later == "" && k.Places&ofFunctions != 0 && k.Places&inService != 0 {
			out = append(out, k.Name)
		}
	}
	return out
}

const referenceHead = `<!-- DO NOT EDIT: made from internal/manifest/keys.go by: go test ./internal/manifest -run TestReference -update -->

# titrate.yaml

One file in the root of the repository. Two lines are enough:

` + "```yaml\ntitrate: 1\napp: checkout\n```" + `

` + "`titrate validate`" + ` checks it, ` + "`titrate validate --expand`" + ` writes it out with every default, and
` + "`titrate explain KEY`" + ` shows what stands here.

Durations are written 30s, 5m, 1h30m, 2d; percentages 1% or 12.5%. The file is UTF-8, at most 1 MiB, one YAML
document, without anchors, aliases and tags. Unknown keys are errors.

The most specific place wins: what is built in, then ` + "`defaults`, `services.X`, `environments.E`,\n`environments.E.services.X`" + `; the same with functions, where of the keys that match a folder the longer pattern wins, and its own key last.
`
