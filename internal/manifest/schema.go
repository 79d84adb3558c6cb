package manifest

import "encoding/json"

// definition is a table of keys that the schema names.
type definition struct {
	name  string
	place Place
	more  map[string]any // what the table does not say of it
}

func definitions() []definition {
	oneOf := map[string]any{"minProperties": 1, "maxProperties": 1}
	return []definition{
		{"defaults", inDefaults, nil},
		{"service", inService, nil},
		{"environment", inEnvironment, nil},
		{"override", inOverride, nil},
		{"build", inBuild, nil},
		{"hooks", inHooks, nil},
		{"rollout", inRollout, oneOf},
		{"blueGreen", inBlueGreen, nil},
		{"step", inStep, map[string]any{"anyOf": []any{map[string]any{"required": []string{"weight"}}, map[string]any{"required": []string{"hook"}}}}},
		{"accessory", inAccessory, nil},
		{"backup", inBackup, nil},
		{"alarm", inAlarm, map[string]any{"required": []string{"metric"}}},
		{"address", inAddress, map[string]any{"required": []string{"service"}}},
		{"limits", inLimits, nil},
		{"volume", inVolume, map[string]any{"required": []string{"path"}}},
		{"function", inFunction, nil},
		{"functionOverride", inFunctionOverride, nil},
		{"scale", inScale, nil},
		{"http", inHTTP, map[string]any{"required": []string{"routes"}}},
		{"cors", inCORS, nil},
		{"jwt", inJWT, map[string]any{"required": []string{"issuer"}}},
		{"timer", inTimer, map[string]any{"required": []string{"cron"}}},
		{"taken", inTaken, map[string]any{"required": []string{"name"}}},
		{"queue", inQueue, nil},
		{"route", inRoute, map[string]any{"required": []string{"path"}}},
		{"rewrite", inRewrite, map[string]any{"minProperties": 1}},
		{"redirect", inRedirect, map[string]any{"minProperties": 1}},
		{"maintenance", inMaintenance, nil},
		{"responseHeaders", inResponseHeaders, map[string]any{"minProperties": 1}},
		{"match", inMatch, map[string]any{"minProperties": 1}},
		{"registry", inRegistry, map[string]any{"required": []string{"username", "password"}}},
	}
}

// Schema returns the JSON Schema (draft 7, which editors support) of a manifest.
// It is made from the table of keys; keys that are not available yet are not in it.
func Schema() []byte {
	defs := map[string]any{}
	for _, d := range definitions() {
		defs[d.name] = object(d.place, d.more)
	}
	root := object(atTop, map[string]any{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       File,
		"description": "The manifest of an app that Titrate releases.",
		"required":    []string{"titrate", "app"},
		"definitions": defs,
	})
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps, strings and numbers only
	}
	return append(b, '\n')
}

// object is the schema of a mapping with the keys of one place.
func object(in Place, more map[string]any) map[string]any {
	properties := map[string]any{}
	for _, k := range Keys() {
		if k.Places&in == 0 || k.Later != "" {
			continue
		}
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			properties[name] = k.schema()
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	for key, v := range more {
		out[key] = v
	}
	return out
}

// schema is that of the key's value, with its hover text.
func (k Key) schema() map[string]any {
	doc := k.Doc
	if k.Default != "" {
		doc += " Default: " + k.Default + "."
	}
	if ref, ok := k.kind.schema["$ref"]; ok { // draft 7 ignores what stands beside a $ref
		return map[string]any{"description": doc, "allOf": []any{map[string]any{"$ref": ref}}}
	}
	return with(k.kind.schema, "description", doc)
}
