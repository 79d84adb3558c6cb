package lambdaapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"titrate/internal/auth"
	"titrate/internal/controller"
	"titrate/internal/functions"
	"titrate/internal/rollout"
)

// alias is AliasConfiguration.
type alias struct {
	AliasArn        string
	Name            string
	FunctionVersion string
	Description     string
	RoutingConfig   *routing `json:",omitempty"`
	RevisionId      string   //nolint:revive // the name that the API has
}

type routing struct {
	AdditionalVersionWeights map[string]float64
}

// aliasOf is live as it stands: the version that has most of the events when nobody names
// another, and the other's part. False: no version has any yet.
func aliasOf(f functions.Function) (alias, bool) {
	a := alias{AliasArn: functionARN(f.Key.Workload, Live), Name: Live, Description: "the split of the traffic"}
	// The stable version comes first where it has a share: the other is tried against it.
	var shares []functions.Running
	for _, r := range f.Running {
		if r.Asked > 0 {
			shares = append(shares, r)
		}
	}
	if len(shares) == 0 {
		return a, false
	}
	slices.SortStableFunc(shares, func(x, y functions.Running) int { return rank(f, x) - rank(f, y) })
	a.FunctionVersion = versionText(shares[0].Version)
	text := fmt.Sprintf("%d %s %v", f.Rollout, f.Key, a.FunctionVersion)
	for _, r := range shares[1:] {
		if a.RoutingConfig == nil {
			a.RoutingConfig = &routing{map[string]float64{}}
		}
		a.RoutingConfig.AdditionalVersionWeights[versionText(r.Version)] = float64(r.Asked) / float64(rollout.Full)
		text += fmt.Sprintf(" %v %d", r.Version, r.Asked)
	}
	if f.Rollout != 0 {
		a.Description = fmt.Sprintf("the split of the traffic, moved by rollout #%d", f.Rollout)
	}
	a.RevisionId = revision(text, false)
	return a, true
}

func rank(f functions.Function, r functions.Running) int {
	if r.Version == f.Stable {
		return 0
	}
	return 1
}

func unreleased(f functions.Function) *fault {
	text := "live of " + f.Key.Workload + " is the split of its traffic, and no version has any yet"
	if f.Rollout != 0 {
		return notFound(fmt.Sprintf("%s: titrate rollout watch %d", text, f.Rollout))
	}
	return notFound(text + ": git push releases one")
}

// otherAlias refuses an alias that cannot be.
func otherAlias(name string) *fault {
	return invalid("there is no alias " + name + ": Titrate has one, live, which is the split of the traffic. A version is called by its number")
}

func (s *server) getAlias(ctx context.Context, c *call) error {
	n, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	if name := c.r.PathValue("alias"); name != Live {
		return notFound("Cannot find alias arn: " + functionARN(n.name, name) + ". " + otherAlias(name).message)
	}
	a, ok := aliasOf(f)
	if !ok {
		return unreleased(f)
	}
	c.answer(http.StatusOK, s.together(ctx, f, a))
	return nil
}

// together says of an alias how many other functions the rollout moves with it (R23): a
// command to one is a command to all.
func (s *server) together(ctx context.Context, f functions.Function, a alias) alias {
	if f.Rollout == 0 {
		return a
	}
	if r, err := s.Functions.Store.Rollout(ctx, f.Rollout); err == nil && len(r.Plan.Members) > 1 {
		a.Description += fmt.Sprintf(" together with %d more", len(r.Plan.Members)-1)
	}
	return a
}

// listAliases is ListAliases: one, or none where FunctionVersion is another's.
func (s *server) listAliases(ctx context.Context, c *call) error {
	_, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	all := []alias{}
	v := c.r.URL.Query().Get("FunctionVersion")
	if a, ok := aliasOf(f); ok && (v == "" || v == a.FunctionVersion) {
		all = append(all, s.together(ctx, f, a))
	}
	page, next, err := paged(c, all, func(a alias) string { return a.Name })
	if err == nil {
		c.answer(http.StatusOK, map[string]any{"Aliases": page, "NextMarker": next})
	}
	return err
}

func (s *server) createAlias(ctx context.Context, c *call) error {
	_, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	var in wish
	if err := c.read(&in); err != nil {
		return err
	}
	if in.Name != Live {
		return otherAlias(in.Name)
	}
	if _, ok := aliasOf(f); ok {
		return conflict("Alias already exists: " + functionARN(f.Key.Workload, Live) + ". It is the split of the traffic: UpdateAlias changes it")
	}
	return s.shift(ctx, c, f, in, http.StatusCreated)
}

func (s *server) updateAlias(ctx context.Context, c *call) error {
	n, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	if name := c.r.PathValue("alias"); name != Live {
		return notFound("Cannot find alias arn: " + functionARN(n.name, name) + ". " + otherAlias(name).message)
	}
	var in wish
	if err := c.read(&in); err != nil {
		return err
	}
	if a, _ := aliasOf(f); in.RevisionId != "" && in.RevisionId != a.RevisionId {
		return stale()
	}
	return s.shift(ctx, c, f, in, http.StatusOK)
}

// deleteAlias is DeleteAlias, which is done for an alias that is not there.
func (s *server) deleteAlias(ctx context.Context, c *call) error {
	_, f, err := s.find(ctx, c)
	if err != nil {
		return err
	}
	if c.r.PathValue("alias") == Live {
		return conflict("live of " + f.Key.Workload + " is the split of its traffic and goes with the function: take it out of titrate.yaml, then titrate deploy")
	}
	c.WriteHeader(http.StatusNoContent)
	return nil
}

// shift makes a command of what an alias is asked to be, and answers with what it is when
// that has been carried out.
func (s *server) shift(ctx context.Context, c *call, f functions.Function, in wish, status int) error {
	promoted, err := s.promoted(ctx, f)
	if err != nil {
		return err
	}
	m, err := in.means(f, promoted)
	if err != nil {
		return err
	}
	if err := s.carryOut(ctx, c, f, m); err != nil {
		return err
	}
	f, err = s.Functions.Find(ctx, c.app, c.env, f.Key.Workload)
	if err != nil {
		return err
	}
	a, ok := aliasOf(f)
	if !ok { // it will be: the command is stored
		a.FunctionVersion = in.FunctionVersion
	}
	c.answer(status, s.together(ctx, f, a))
	return nil
}

func (s *server) promoted(ctx context.Context, f functions.Function) ([]rollout.Version, error) {
	ps, err := s.Functions.Store.Promotions(ctx, f.Key, rollout.KeptPromotions)
	if err != nil {
		return nil, err
	}
	var vs []rollout.Version
	for _, p := range ps {
		vs = append(vs, p.Version, p.From)
	}
	return vs, nil
}

// needs is who may which command, as by the API of rollouts.
func needs(v rollout.Verb) auth.Role {
	if v == rollout.Abort {
		return auth.Deployer
	}
	return auth.Approver
}

func (s *server) carryOut(ctx context.Context, c *call, f functions.Function, m move) error {
	switch {
	case m.back != 0:
		_, err := s.Functions.Controller.Rollback(ctx, controller.Scope{App: c.app, Env: c.env, Workload: f.Key.Workload}, controller.Destination{Version: m.back}, c.who)
		return err
	case m.verb == "":
		return nil
	}
	if err := c.allow(needs(m.verb)); err != nil {
		return err
	}
	r, err := s.Functions.Controller.Command(ctx, f.Rollout, rollout.Command{Verb: m.verb, Weight: m.weight, By: c.who, Reason: "UpdateAlias"})
	if err != nil || r.State.Over() {
		return err
	}
	r, err = s.Obeyed(ctx, f.Rollout, r.State.Command)
	if err == nil && r.State.Refused != "" {
		err = conflict(fmt.Sprintf("rollout #%d refused it: %s", f.Rollout, r.State.Refused))
	}
	return err
}
