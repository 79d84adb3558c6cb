package manifest

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// maxName bounds the names of apps, services and environments: they become
// labels of host names, with a suffix.
const maxName = 40

var (
	namePattern     = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	labelPattern    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	notInName       = regexp.MustCompile(`[^a-z0-9]+`)
	badEscape       = regexp.MustCompile(`%([^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)`)
)

// checkName says what is wrong with the name of an app, service or environment.
func checkName(s string) (hint string, ok bool) {
	if len(s) <= maxName && namePattern.MatchString(s) {
		return "", true
	}
	better := strings.Trim(notInName.ReplaceAllString(strings.ToLower(s), "-"), "-")
	better = strings.TrimRight(better[:min(len(better), maxName)], "-")
	if namePattern.MatchString(better) {
		return fmt.Sprintf("write %q?", better), false
	}
	return fmt.Sprintf("a letter, then letters, digits and dashes, all lower case, at most %d", maxName), false
}

// CheckHost says what is wrong with a host name; nil: nothing.
func CheckHost(s string) error {
	switch {
	case strings.Contains(s, "://"):
		return errors.New("a host stands without scheme")
	case strings.ContainsAny(s, "/?#"):
		return errors.New("a path belongs in route")
	case strings.Contains(s, ":"):
		return errors.New("a host stands without port")
	case strings.Contains(s, "*"):
		return errors.New("a wildcard stands alone at the beginning: *.shop.localhost")
	case len(s) > 253:
		return errors.New("longer than 253 characters")
	case s != strings.ToLower(s):
		return fmt.Errorf("lower case: %s", strings.ToLower(s))
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return errors.New("an address is not a host name")
	}
	for label := range strings.SplitSeq(s, ".") {
		if !labelPattern.MatchString(label) {
			return fmt.Errorf("the label %q is not letters, digits and dashes", short(label))
		}
	}
	return nil
}

// checkHosts says what is wrong with a host name, or with *. and one.
func checkHosts(s string) error {
	return CheckHost(strings.TrimPrefix(s, "*."))
}

// checkURLPath says what is wrong with a path that requests are matched with or
// sent to.
func checkURLPath(s string) error {
	switch {
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("a path begins with a slash: /%s", short(s))
	case strings.ContainsAny(s, "?#"):
		return errors.New("a path has no ? and no #")
	case len(s) > 1024:
		return errors.New("longer than 1024 characters")
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }):
		return errors.New("a path is printable ASCII without spaces and backslashes; escape others as %XX")
	case badEscape.MatchString(s):
		return errors.New("a % is followed by two hexadecimal digits: %20")
	case strings.Contains(s, "//") || s != "/" && path.Clean(s) != strings.TrimSuffix(s, "/"):
		return errors.New("a path has no empty, . or .. segments")
	}
	return nil
}

// checkRoute says what is wrong with a path prefix.
func checkRoute(s string) error {
	if strings.ContainsAny(s, "*{}") {
		return errors.New("a route is a prefix; it has no patterns")
	}
	return checkURLPath(s)
}

// checkRepoPath says what is wrong with a path of a file or folder in the
// repository.
func checkRepoPath(s string) error {
	switch {
	case s == "":
		return errors.New("the folder itself is \".\"")
	case strings.HasPrefix(s, "/") || strings.HasPrefix(s, "~") || len(s) > 1 && s[1] == ':':
		return errors.New("a path is relative to the repository")
	case strings.Contains(s, `\`):
		return errors.New("folders are separated by /")
	case len(s) > 1024:
		return errors.New("longer than 1024 characters")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("a path has no control characters")
	}
	clean := path.Clean(s)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return errors.New("a path stays inside the repository")
	}
	if clean == ".git" || strings.HasPrefix(clean, ".git/") {
		return errors.New(".git is not built")
	}
	return nil
}

// checkVariable says what is wrong with the name of an environment variable.
func checkVariable(s string) error {
	switch {
	case len(s) > 128:
		return errors.New("longer than 128 characters")
	case !variablePattern.MatchString(s):
		return errors.New("letters, digits and _, not beginning with a digit")
	case s == "PORT":
		return errors.New("PORT is given to each instance by Titrate")
	case strings.HasPrefix(s, "TITRATE_"):
		return errors.New("names with TITRATE_ are given by Titrate")
	}
	return nil
}

// checkBranch says what is wrong with a branch, as git check-ref-format does.
func checkBranch(s string) error {
	bad := strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".") ||
		strings.HasSuffix(s, ".") || strings.HasSuffix(s, ".lock") || s == "@" || len(s) > 200
	for _, part := range []string{"..", "//", "@{", "/.", ".lock/"} {
		bad = bad || strings.Contains(s, part)
	}
	bad = bad || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c) })
	if bad {
		return errors.New("git allows no branch of that name")
	}
	return nil
}

// checkCommand says what is wrong with a shell line.
func checkCommand(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("a command is not empty")
	case len(s) > 8192:
		return errors.New("longer than 8192 bytes: put it into a script")
	}
	return nil
}
