package runtimes

import (
	"strconv"
	"strings"
)

// Family is the language of a runtime, whatever its version.
type Family string

// The families, in the order in which errors list them.
const (
	// Node runs JavaScript with Titrate's Node.js client.
	Node Family = "nodejs"
	// Python runs Python with Titrate's Python client.
	Python Family = "python"
	// Provided runs a program named bootstrap that speaks the Runtime API itself; Go functions are built to one.
	Provided Family = "provided"
)

// Version is a release of an interpreter by its first two numbers, which are all that a runtime's name can ask for.
type Version struct{ Major, Minor int }

// Less tells whether v came before w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

func (v Version) String() string { return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) }

// minimum is the oldest version that each client is written for.
func (f Family) minimum() Version {
	switch f {
	case Node:
		return Version{18, 0}
	case Python:
		return Version{3, 9}
	default:
		return Version{}
	}
}

// Parse reads a runtime's name: nodejs, nodejs22, nodejs22.x, node22, python, python3, python3.12, provided, provided.al2023, go, go1.x
// (AWS's names are listed in "Lambda runtimes"). The version is the one asked for, or zero where the name leaves it open.
func Parse(name string) (Family, Version, error) {
	bad := &Error{
		Kind: UnknownRuntime, Runtime: name, What: "runtime " + strconv.Quote(name) + " is not known",
		Why: "Titrate runs Node.js, Python and programs that speak the Runtime API", Next: "write nodejs22, python3.12 or provided.al2023",
	}
	switch name {
	case "go", "go1.x", "provided", "provided.al2", "provided.al2023":
		return Provided, Version{}, nil
	}
	if rest, ok := strings.CutPrefix(name, "python"); ok {
		v, ok := version(rest)
		if !ok || rest != "" && v.Major != 3 {
			return "", Version{}, bad
		}
		return Python, v, nil
	}
	rest, ok := strings.CutPrefix(name, "nodejs")
	if !ok {
		rest, ok = strings.CutPrefix(name, "node")
	}
	if !ok {
		return "", Version{}, bad
	}
	v, ok := version(strings.TrimSuffix(rest, ".x"))
	if !ok || rest == ".x" {
		return "", Version{}, bad
	}
	return Node, v, nil
}

// version reads "", "22" and "3.12".
func version(s string) (Version, bool) {
	if s == "" {
		return Version{}, true
	}
	major, minor, two := strings.Cut(s, ".")
	v := Version{}
	var ok bool
	if v.Major, ok = number(major); !ok {
		return Version{}, false
	}
	if two {
		if v.Minor, ok = number(minor); !ok {
			return Version{}, false
		}
	}
	return v, true
}

// number reads up to four digits and nothing else: no sign, no space.
func number(s string) (int, bool) {
	if s == "" || len(s) > 4 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
