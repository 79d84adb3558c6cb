package lambdaapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"titrate/internal/functions"
	"titrate/internal/rollout"
)

// configuration is FunctionConfiguration: what a version is run with. Variables and
// secrets are not told.
type configuration struct {
	FunctionName     string
	FunctionArn      string
	Runtime          string `json:",omitempty"`
	Role             string
	Handler          string `json:",omitempty"`
	CodeSize         int64
	Description      string
	Timeout          int
	MemorySize       int64
	LastModified     string
	CodeSha256       string
	Version          string
	RevisionId       string //nolint:revive // the name that the API has
	State            string
	LastUpdateStatus string
	PackageType      string
	Architectures    []string
	TracingConfig    tracing
}

type tracing struct{ Mode string }

// stamp is how the API writes a time.
const stamp = "2006-01-02T15:04:05.000-0700"

func versionText(v rollout.Version) string { return strconv.Itoa(int(v)) }

// describe is a version as the API has it; qualifier is by what it was asked for.
func describe(f functions.Function, v rollout.VersionRecord, qualifier string) configuration {
	c := configuration{
		FunctionName: f.Key.Workload, FunctionArn: functionARN(f.Key.Workload, qualifier), Role: "arn:aws:iam::000000000000:role/titrate",
		LastModified: v.Made.UTC().Format(stamp), CodeSha256: codeSha(v), Version: versionText(v.Number), RevisionId: revision(v.Digest, qualifier == "" || qualifier == latest),
		State: "Active", LastUpdateStatus: "Successful", PackageType: "Zip", Architectures: []string{"x86_64"}, TracingConfig: tracing{"PassThrough"},
		Description: strings.TrimSpace(v.Release.String() + " " + v.Commit), MemorySize: v.Config.Limits.Memory >> 20,
	}
	if runtime.GOARCH == "arm64" {
		c.Architectures[0] = "arm64"
	}
	if qualifier == "" || qualifier == latest {
		c.Version = latest
	}
	if !f.Runs(v.Number) {
		c.State = "Inactive"
	}
	if run := v.Config.Function; run != nil {
		c.Runtime, c.Handler = runtimeText(cmp.Or(run.Runtime, v.Artifact.Runtime)), cmp.Or(run.Handler, v.Artifact.Handler)
		c.Timeout = int((run.Timeout + time.Second - 1) / time.Second)
	}
	return c
}

// codeSha is the artifact's digest as the API writes it: in base64.
func codeSha(v rollout.VersionRecord) string {
	raw, err := hex.DecodeString(v.Artifact.Digest)
	if err != nil {
		return v.Artifact.Digest
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// revision is an id that differs when what it is of does.
func revision(of string, isLatest bool) string {
	sum := sha256.Sum256([]byte(of + strconv.FormatBool(isLatest)))
	return uuid(sum[:16])
}

// runtimeText is a runtime by the name that AWS gives it.
func runtimeText(name string) string {
	switch {
	case strings.HasPrefix(name, "nodejs") && name != "nodejs" && !strings.Contains(name, "."):
		return name + ".x"
	case name == "provided", strings.HasPrefix(name, "go"):
		return "provided.al2023"
	}
	return name
}

// record is the version that a qualifier names, of a function.
func (s *server) record(ctx context.Context, n named, f functions.Function) (rollout.VersionRecord, error) {
	v := f.Newest
	switch n.qualifier {
	case "", latest:
	case Live:
		a, ok := aliasOf(f)
		if !ok {
			return rollout.VersionRecord{}, unreleased(f)
		}
		v, _ = number(a.FunctionVersion)
	default:
		var ok bool
		if v, ok = number(n.qualifier); !ok {
			return rollout.VersionRecord{}, unknownQualifier(n)
		}
	}
	r, err := s.Functions.Store.Version(ctx, f.Key, v)
	if errors.Is(err, rollout.ErrUnknown) {
		return r, notFound("Function not found: " + functionARN(f.Key.Workload, versionText(v)) + ". " + err.Error())
	}
	return r, err
}

func (s *server) functionConfiguration(ctx context.Context, c *call) error {
	conf, _, err := s.configured(ctx, c)
	if err == nil {
		c.answer(200, conf)
	}
	return err
}

func (s *server) configured(ctx context.Context, c *call) (configuration, functions.Function, error) {
	n, f, err := s.find(ctx, c)
	if err != nil {
		return configuration{}, f, err
	}
	r, err := s.record(ctx, n, f)
	return describe(f, r, n.qualifier), f, err
}

// function is GetFunction. Where the code is has no address: it came by a push.
func (s *server) function(ctx context.Context, c *call) error {
	conf, f, err := s.configured(ctx, c)
	if err != nil {
		return err
	}
	c.answer(200, map[string]any{
		"Configuration": conf, "Code": map[string]string{"RepositoryType": "Titrate", "Location": ""}, "Tags": map[string]string{},
		"Concurrency": map[string]int{"ReservedConcurrentExecutions": f.Scale.Max},
	})
	return nil
}

// listFunctions is ListFunctions.
func (s *server) listFunctions(ctx context.Context, c *call) error {
	all, err := s.Functions.List(ctx, c.app, c.env)
	if err != nil {
		return err
	}
	every := c.r.URL.Query().Get("FunctionVersion")
	if every != "" && every != "ALL" {
		return invalid("FunctionVersion is ALL, or is left out")
	}
	confs := []configuration{}
	for _, f := range all {
		vs, err := s.Functions.Store.Versions(ctx, f.Key, maxVersions)
		if err != nil {
			return err
		}
		confs = append(confs, s.versions(f, vs, every != "")...)
	}
	page, next, err := paged(c, confs, func(v configuration) string { return v.FunctionName + ":" + v.Version })
	if err == nil {
		c.answer(200, map[string]any{"Functions": page, "NextMarker": next})
	}
	return err
}

// maxVersions is how many versions of a function are told of, the newest.
const maxVersions = 1000

// versions are $LATEST of a function and, when each is asked for, its versions, oldest
// first.
func (s *server) versions(f functions.Function, vs []rollout.VersionRecord, each bool) []configuration {
	var out []configuration
	at := slices.IndexFunc(vs, func(v rollout.VersionRecord) bool { return v.Number == f.Newest })
	if at >= 0 {
		out = append(out, describe(f, vs[at], latest))
	}
	if !each {
		for i := range out {
			out[i].FunctionArn = functionARN(f.Key.Workload, "")
		}
		return out
	}
	for _, v := range slices.Backward(vs) {
		out = append(out, describe(f, v, versionText(v.Number)))
	}
	return out
}

// pageSize is how many there are in one answer at most, whatever was asked for.
const pageSize = 50

// paged is the part of a list that a request asks for, and the marker of the next; nil: it
// was the last.
func paged[T any](c *call, all []T, key func(T) string) (page []T, next *string, err error) {
	size := pageSize
	if text := c.r.URL.Query().Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10000 {
			return nil, nil, invalid("MaxItems is a number from 1 to 10000, and not " + text)
		}
		size = min(n, pageSize)
	}
	from := 0
	if marker := c.r.URL.Query().Get("Marker"); marker != "" {
		raw, err := base64.RawURLEncoding.DecodeString(marker)
		at := slices.IndexFunc(all, func(v T) bool { return key(v) == string(raw) })
		if err != nil || at < 0 {
			return nil, nil, invalid("the marker is none that was given out, or what it names is gone: begin the list anew")
		}
		from = at + 1
	}
	page = all[from:min(from+size, len(all))]
	if from+len(page) < len(all) {
		m := base64.RawURLEncoding.EncodeToString([]byte(key(page[len(page)-1])))
		next = &m
	}
	return page, next, nil
}
