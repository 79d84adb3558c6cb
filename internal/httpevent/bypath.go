package httpevent

import (
	"fmt"
	"strings"
)

// ByPath returns the route key of a function that is named by its folder:
// "api/pickups/[id]/get" below "api" is "GET /pickups/{id}", and "[...rest]"
// is greedy. The last folder is the method ("any" for all).
func ByPath(root, folder string) (string, error) {
	rest := folder
	if root != "" {
		below, ok := strings.CutPrefix(folder, strings.TrimSuffix(root, "/")+"/")
		if !ok {
			return "", fmt.Errorf("folder %q is not below %q: move it there or name its route with http", folder, root)
		}
		rest = below
	}
	parts := strings.Split(rest, "/")
	method := strings.ToUpper(parts[len(parts)-1])
	if !methodKnown(method) {
		return "", fmt.Errorf("folder %q does not end in a method: name the last folder get, post, put, patch, delete, head, options or any", folder)
	}
	path := ""
	for i, part := range parts[:len(parts)-1] {
		inner, open := strings.CutPrefix(part, "[")
		inner, closed := strings.CutSuffix(inner, "]")
		name, greedy := strings.CutPrefix(inner, "...")
		if part == "" || open != closed || name == "" || strings.ContainsAny(name, "[]{}+ ") || greedy && (!open || i != len(parts)-2) {
			return "", fmt.Errorf("folder %q: part %q is not valid: write a name, [name], or [...name] as the last part", folder, part)
		}
		switch {
		case greedy:
			path += "/{" + name + "+}"
		case open:
			path += "/{" + name + "}"
		default:
			path += "/" + part
		}
	}
	if path == "" {
		path = "/"
	}
	return method + " " + path, nil
}
