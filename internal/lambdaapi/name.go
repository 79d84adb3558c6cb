package lambdaapi

import (
	"context"
	"regexp"
	"strconv"

	"titrate/internal/functions"
	"titrate/internal/rollout"
)

// Live is the alias that there is: the split of the traffic.
const Live = "live"

// stable, of a call, is the version that was promoted last. It is no alias: it has no
// weights, and is not listed.
const stable = "stable"

// latest is how Lambda calls what no version has been made of. Here it is the newest
// version; a call of it is one of the newest that runs.
const latest = "$LATEST"

// nameForm is how a function may be named ("FunctionName"): by its name, by an ARN, or by
// a part of one, each with a qualifier at its end or without.
var nameForm = regexp.MustCompile(`^(?:(?:arn:aws[a-zA-Z-]*:lambda:)?(?:[a-z0-9-]+:)?(?:[0-9]{12}:)?function:)?([A-Za-z0-9_./-]{1,170})(?::(\$LATEST|[A-Za-z0-9_-]{1,128}))?$`)

// named is a function as a request names it.
type named struct {
	name      string // the workload's
	given     string
	qualifier string // as it was given; empty: none was
}

// named returns which function a request means.
func (c *call) named() (named, error) {
	given := c.r.PathValue("name")
	m := nameForm.FindStringSubmatch(given)
	if m == nil || functions.Name(m[1]) == "" {
		return named{}, invalid("the function's name is neither a name nor an ARN: " + strconv.Quote(given))
	}
	n := named{name: functions.Name(m[1]), given: m[1], qualifier: m[2]}
	if q := c.r.URL.Query().Get("Qualifier"); q != "" {
		if n.qualifier != "" && n.qualifier != q {
			return named{}, invalid("The derived qualifier from the function name does not match the specified qualifier.")
		}
		n.qualifier = q
	}
	return n, nil
}

// find returns the function that a request names.
func (s *server) find(ctx context.Context, c *call) (named, functions.Function, error) {
	n, err := c.named()
	if err != nil {
		return n, functions.Function{}, err
	}
	f, err := s.Functions.Find(ctx, c.app, c.env, n.given)
	return n, f, err
}

var numberForm = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// number reads a version: 3.
func number(text string) (rollout.Version, bool) {
	if !numberForm.MatchString(text) {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return rollout.Version(n), err == nil
}

// unknownQualifier says that there is no such thing as was asked for.
func unknownQualifier(n named) *fault {
	return notFound("Function not found: " + functionARN(n.name, n.qualifier) + ". A qualifier is a version's number, $LATEST, of a call stable, or live, which is the only alias: its weights are the rollout's")
}

// functionARN is a function's name as AWS writes it. There is one region and one account.
func functionARN(name, qualifier string) string {
	arn := "arn:aws:lambda:local:000000000000:function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}
