package lambdaapi

import (
	"fmt"
	"strings"
	"testing"

	"titrate/internal/auth"
	"titrate/internal/rollout"
)

const live = "/api-pickups-get/aliases/live"

// weights is what an alias's answer says: "1" or "1 2=0.1".
func weights(t *testing.T, a answered) string {
	t.Helper()
	v := a.json(t)
	text := fmt.Sprint(v["FunctionVersion"])
	if r, ok := v["RoutingConfig"].(map[string]any); ok {
		for version, w := range r["AdditionalVersionWeights"].(map[string]any) {
			text += fmt.Sprintf(" %s=%v", version, w)
		}
	}
	return text
}

func TestAlias_liveIsTheSplit(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	if a := i.ask(t, k, "GET", live, ""); a.status != 200 || weights(t, a) != "1" || a.json(t)["AliasArn"] != "arn:aws:lambda:local:000000000000:function:api-pickups-get:live" {
		t.Errorf("%+v", a)
	}
	id := i.deliver(t, "b2", at(1000))
	first := i.ask(t, k, "GET", live, "")
	if weights(t, first) != "1 2=0.1" {
		t.Errorf("%+v", first)
	}
	// A weight is the rollout's.
	a := i.ask(t, k, "PUT", live, `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.3}}}`)
	if a.status != 200 || weights(t, a) != "1 2=0.3" {
		t.Errorf("%+v", a)
	}
	i.await(t, id, at(3000))
	if a.json(t)["RevisionId"] == first.json(t)["RevisionId"] {
		t.Error("the revision stays")
	}
	refused(t, i.ask(t, k, "PUT", live, fmt.Sprintf(`{"FunctionVersion":"2","RevisionId":%q}`, first.json(t)["RevisionId"])), 412, "PreconditionFailedException")
	// The same again asks for nothing; said from the other side it is the same.
	for _, same := range []string{`{}`, `{"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":0.3}}}`, `{"FunctionVersion":"2","RoutingConfig":{"AdditionalVersionWeights":{"1":0.7}}}`} {
		if a := i.ask(t, k, "PUT", live, same); a.status != 200 || weights(t, a) != "1 2=0.3" {
			t.Errorf("%s: %+v", same, a)
		}
	}
	// Everything to the candidate promotes it.
	if a := i.ask(t, k, "PUT", live, `{"FunctionVersion":"2","RoutingConfig":{"AdditionalVersionWeights":{}}}`); a.status != 200 || weights(t, a) != "2" {
		t.Errorf("%+v", a)
	}
	i.await(t, id, func(s rollout.State) bool { return s.Outcome == rollout.Promoted })
	// Back to what was promoted before is a rollback.
	if a := i.ask(t, k, "PUT", live, `{"FunctionVersion":"1"}`); a.status != 200 {
		t.Errorf("%+v", a)
	}
	i.await(t, id+1, func(s rollout.State) bool { return s.Outcome == rollout.Promoted })
	if a := i.ask(t, k, "GET", live, ""); weights(t, a) != "1" {
		t.Errorf("%+v", a)
	}
}

func TestAlias_backToStableAborts(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	id := i.deliver(t, "b2", at(1000))
	if a := i.ask(t, k, "PUT", live, `{"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{}}}`); a.status != 200 || weights(t, a) != "1" {
		t.Errorf("%+v", a)
	}
	i.await(t, id, func(s rollout.State) bool { return s.Outcome == rollout.Aborted && over(s) })
	refused(t, i.ask(t, k, "PUT", live, `{"FunctionVersion":"2"}`), 409, "ResourceConflictException", "never been promoted", "titrate rollout retry")
	refused(t, i.ask(t, k, "PUT", live, `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.5}}}`), 409, "ResourceConflictException", "no rollout of api-pickups-get is in progress", "git push")
	if a := i.ask(t, k, "PUT", live, `{"FunctionVersion":"1"}`); a.status != 200 {
		t.Errorf("as it is: %+v", a)
	}
}

func TestAlias_whatCannotBeIsRefusedWithWhatToType(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	id := i.deliver(t, "b2", at(1000))
	for _, c := range []struct {
		body   string
		status int
		code   string
		says   string
	}{
		{`{"FunctionVersion":"9"}`, 404, "ResourceNotFoundException", "The newest version is 2"},
		{`{"FunctionVersion":"$LATEST"}`, 400, "InvalidParameterValueException", "$LATEST"},
		{`{"FunctionVersion":"two"}`, 400, "InvalidParameterValueException", "a version is a number"},
		{`{"RoutingConfig":{"AdditionalVersionWeights":{"2":1.2}}}`, 400, "InvalidParameterValueException", "sum up to 1.2"},
		{`{"RoutingConfig":{"AdditionalVersionWeights":{"1":0.7,"2":0.6}}}`, 400, "InvalidParameterValueException", "sum up to 1.3"},
		{`{"RoutingConfig":{"AdditionalVersionWeights":{"1":0.2,"2":0.6}}}`, 400, "InvalidParameterValueException", "between two versions"},
		{`{"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"2":-0.1}}}`, 400, "InvalidParameterValueException", "from 0.0 to 1.0"},
		{`{"FunctionVersion":"1","RoutingConfig":{"AdditionalVersionWeights":{"1":0.1}}}`, 400, "InvalidParameterValueException", "at once"},
		{`{"FunctionVersion":`, 400, "InvalidRequestContentException", "Could not parse"},
	} {
		refused(t, i.ask(t, k, "PUT", live, c.body), c.status, c.code, c.says)
	}
	refused(t, i.ask(t, k, "PUT", "/api-pickups-get/aliases/blue", `{"FunctionVersion":"1"}`), 404, "ResourceNotFoundException", "Titrate has one, live")
	refused(t, i.ask(t, k, "GET", "/api-pickups-get/aliases/blue", ""), 404, "ResourceNotFoundException", "Cannot find alias arn")
	refused(t, i.ask(t, k, "POST", "/api-pickups-get/aliases", `{"Name":"blue","FunctionVersion":"1"}`), 400, "InvalidParameterValueException", "Titrate has one, live")
	refused(t, i.ask(t, k, "POST", "/api-pickups-get/aliases", `{"Name":"live","FunctionVersion":"1"}`), 409, "ResourceConflictException", "Alias already exists")
	refused(t, i.ask(t, k, "DELETE", live, ""), 409, "ResourceConflictException", "titrate.yaml")
	if a := i.ask(t, k, "DELETE", "/api-pickups-get/aliases/blue", ""); a.status != 204 {
		t.Errorf("%+v", a)
	}
	// What lets more through takes an approver.
	deployer := i.roled(t, auth.Deployer)
	refused(t, i.ask(t, deployer, "PUT", live, `{"FunctionVersion":"2"}`), 403, "AccessDeniedException", "approver")
	if r, err := i.store.Rollout(t.Context(), id); err != nil || r.State.Over() || r.State.Weight != 1000 {
		t.Errorf("something has changed: %+v, %v", r.State, err)
	}
	if a := i.ask(t, k, "GET", "/api-pickups-get/aliases?FunctionVersion=1", ""); a.status != 200 || !strings.Contains(a.body, `"Name":"live"`) {
		t.Errorf("%+v", a)
	}
	if a := i.ask(t, k, "GET", "/api-pickups-get/aliases?FunctionVersion=2", ""); a.status != 200 || !strings.Contains(a.body, `"Aliases":[]`) {
		t.Errorf("%+v", a)
	}
}

func TestR23_aliasesOfARolloutMoveTogether(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	text := strings.Replace(shop, "services:", "together: all\nservices:", 1)
	text = strings.Replace(text, "nightly-report: { build: ., env: { TEXT: one } }", "nightly-report: { build: ., env: { TEXT: %TEXT% } }", 1)
	i.manifest(t, text, "a1", over)
	id := i.manifest(t, text, "b2", at(1000))
	a := i.ask(t, k, "PUT", live, `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.4}}}`)
	if d := fmt.Sprint(a.json(t)["Description"]); a.status != 200 || !strings.Contains(d, "together with") {
		t.Errorf("%+v", a)
	}
	i.await(t, id, at(4000))
	before, err := i.store.Rollout(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	// A tool that goes through the functions one by one asks for nothing more.
	a = i.ask(t, k, "PUT", "/nightly-report/aliases/live", `{"RoutingConfig":{"AdditionalVersionWeights":{"2":0.4}}}`)
	if a.status != 200 || weights(t, a) != "1 2=0.4" {
		t.Errorf("%+v", a)
	}
	if after, err := i.store.Rollout(t.Context(), id); err != nil || after.State.Command != before.State.Command {
		t.Errorf("another command: %d after %d, %v", after.State.Command, before.State.Command, err)
	}
}
