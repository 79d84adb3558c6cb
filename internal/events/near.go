package events

import "strings"

// nearest is the name that somebody who typed word most likely meant; empty: none is near.
func nearest(word string, names []string) string {
	best, least := "", 1+max(1, min(len(word), 60)/3)
	for _, n := range names {
		if d := edits(strings.ToLower(word), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// edits counts the letters to add, drop or change between a and b (Levenshtein).
func edits(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 100
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
