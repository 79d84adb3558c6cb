package lambdaapi

import (
	"context"
	"encoding/json"
	"net/http"

	"titrate/internal/rollout"
)

// listVersions is ListVersionsByFunction.
func (s *server) listVersions(ctx context.Context, c *call) error {
	_, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	vs, err := s.Functions.Store.Versions(ctx, f.Key, maxVersions)
	if err != nil {
		return err
	}
	page, next, err := paged(c, s.versions(f, vs, true), func(v configuration) string { return v.Version })
	if err == nil {
		c.answer(http.StatusOK, map[string]any{"Versions": page, "NextMarker": next})
	}
	return err
}

// publishVersion is PublishVersion. A push has made the version already: it returns the
// newest one, or the one of the code that is named.
func (s *server) publishVersion(ctx context.Context, c *call) error {
	_, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	var in struct{ CodeSha256, RevisionId, Description string } //nolint:revive // the names that the API has
	if err := c.read(&in); err != nil {
		return err
	}
	vs, err := s.Functions.Store.Versions(ctx, f.Key, maxVersions)
	if err != nil {
		return err
	}
	if len(vs) == 0 {
		return notFound("no version of " + f.Key.Workload + " has been made: git push makes one")
	}
	newest := vs[0]
	if in.RevisionId != "" && in.RevisionId != revision(newest.Digest, true) {
		return stale()
	}
	if in.CodeSha256 != "" {
		newest, err = coded(vs, in.CodeSha256)
		if err != nil {
			return err
		}
	}
	c.answer(http.StatusCreated, describe(f, newest, versionText(newest.Number)))
	return nil
}

// coded is the newest version that has the code.
func coded(vs []rollout.VersionRecord, sum string) (rollout.VersionRecord, error) {
	for _, v := range vs {
		if codeSha(v) == sum {
			return v, nil
		}
	}
	return rollout.VersionRecord{}, invalid("CodeSHA256 (" + sum + ") is different from current CodeSHA256 in $LATEST (" + codeSha(vs[0]) +
		"). Please try again with the CodeSHA256 in $LATEST. Versions are made by pushes: git push brings new code")
}

func stale() *fault {
	return &fault{
		http.StatusPreconditionFailed, "PreconditionFailedException",
		"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id", "",
	}
}

// read reads what a request says in its body, which may be empty.
func (c *call) read(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return &fault{http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json: " + err.Error(), ""}
	}
	return nil
}
