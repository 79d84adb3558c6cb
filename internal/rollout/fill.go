package rollout

import "regexp"

var placeholder = regexp.MustCompile(`\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

// Fill replaces $NAME and ${NAME} in text by the value of that name. What has none
// stays as it is written.
func Fill(text string, values map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		if value, ok := values[m[1]+m[2]]; ok {
			return value
		}
		return found
	})
}

// Placeholders lists the names that [Fill] would look up, in the order of the text.
func Placeholders(text string) []string {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1]+m[2])
	}
	return names
}
