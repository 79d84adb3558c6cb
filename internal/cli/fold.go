package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"titrate/client"
)

// foldAt is how many workloads that are alike are told of as one.
const foldAt = 8

// fold puts together what is alike by key, where it is at least foldAt many; an empty
// key stands for itself. Groups come where their first member was.
func fold[T any](all []T, key func(T) string) [][]T {
	count := map[string]int{}
	for _, x := range all {
		count[key(x)]++
	}
	var out [][]T
	at := map[string]int{}
	for _, x := range all {
		k := key(x)
		if k == "" || count[k] < foldAt {
			out = append(out, []T{x})
			continue
		}
		if i, there := at[k]; there {
			out[i] = append(out[i], x)
			continue
		}
		at[k] = len(out)
		out = append(out, []T{x})
	}
	return out
}

// alike says what a workload has in common with others that are told of with it; empty:
// there is something to be told of it alone.
func alike(wl client.Workload) string {
	if wl.Health != "healthy" || wl.Orphaned != 0 {
		return ""
	}
	if slices.ContainsFunc(wl.Instances, func(i client.Instance) bool { return i.Why != "" || i.Last != "" }) {
		return ""
	}
	k := fmt.Sprint(wl.Outcome, "|", wl.Sync)
	for _, v := range wl.Versions {
		if v.Errors > 0 || v.Restarts > 0 || v.Ready < v.Wanted || v.Served != v.Asked {
			return ""
		}
		k += fmt.Sprint("|", v.Role, v.Served)
	}
	if r := wl.Rollout; r != nil && !r.Over() {
		k += fmt.Sprint("|#", r.ID)
	}
	return k
}

// drawAlike tells of workloads that have everything in common but their names.
func drawAlike(w io.Writer, env string, all []client.Workload) {
	one := all[0]
	one.Name, one.URLs, one.Instances = fmt.Sprintf("%d workloads alike: %s", len(all), names(all)), nil, nil
	one.Versions = slices.Clone(one.Versions)
	for i := range one.Versions {
		v := &one.Versions[i]
		v.RPS, v.P99, v.Ready, v.Wanted, v.Version = 0, 0, 0, 0, 0
		for _, wl := range all {
			o := wl.Versions[i]
			v.RPS, v.P99, v.Ready, v.Wanted = v.RPS+o.RPS, max(v.P99, o.P99), v.Ready+o.Ready, v.Wanted+o.Wanted
		}
	}
	drawWorkload(w, env, one)
}

// names are the first few of many.
func names(all []client.Workload) string {
	var out []string
	for _, wl := range all[:min(3, len(all))] {
		out = append(out, wl.Name)
	}
	if len(all) > len(out) {
		out = append(out, "… (-o wide lists them)")
	}
	return strings.Join(out, ", ")
}

// several names the members of a rollout, of many their number.
func several(parts []string) string {
	if len(parts) < foldAt {
		return strings.Join(parts, ", ")
	}
	return fmt.Sprintf("%s and %d more", parts[0], len(parts)-1)
}
