package lambdaapi

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"titrate/internal/invocation"
	"titrate/internal/node"
	"titrate/internal/rollout"
)

// TestAWS_theCommandLineWorks calls the API by AWS's own command line.
func TestAWS_theCommandLineWorks(t *testing.T) {
	t.Parallel()
	if os.Getenv("TITRATE_TEST_SLOW") == "" {
		t.Skip("each call of the AWS command line takes a second: TITRATE_TEST_SLOW=1")
	}
	program, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("there is no aws on the path")
	}
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	id := i.deliver(t, "b2", at(1000))
	dir := t.TempDir()
	aws := func(args ...string) (stdout, stderr string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"lambda"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+k.id, "AWS_SECRET_ACCESS_KEY="+k.secret, "AWS_DEFAULT_REGION=local", "AWS_ENDPOINT_URL_LAMBDA="+i.url, "AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE=/dev/null", "AWS_PAGER=")
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil && said.Len() == 0 {
			t.Fatal(err)
		}
		return out.String(), said.String()
	}
	out, said := aws("invoke", "--function-name", "api-pickups-get", "--payload", `{"id":7}`, "--log-type", "Tail", "--qualifier", "2", "out.json")
	answer, err := os.ReadFile(filepath.Join(dir, "out.json"))
	if err != nil || string(answer) != `{"id":7}` || !strings.Contains(out, `"ExecutedVersion": "2"`) || !strings.Contains(out, "LogResult") {
		t.Errorf("%s %s %s", answer, out, said)
	}
	if out, said = aws("list-functions", "--query", "Functions[].FunctionName", "--output", "text"); strings.Join(strings.Fields(out), " ") != "api-pickups-get nightly-report" {
		t.Error(out, said)
	}
	if out, said = aws("list-versions-by-function", "--function-name", "api-pickups-get", "--page-size", "1", "--query", "Versions[].Version", "--output", "text"); strings.Join(strings.Fields(out), " ") != "$LATEST 1 2" {
		t.Error(out, said)
	}
	if out, said = aws("publish-version", "--function-name", "api-pickups-get", "--query", "Version", "--output", "text"); strings.TrimSpace(out) != "2" {
		t.Error(out, said)
	}
	out, said = aws("update-alias", "--function-name", "api-pickups-get", "--name", "live", "--routing-config", `{"AdditionalVersionWeights":{"2":0.25}}`)
	var a alias
	if err := json.Unmarshal([]byte(out), &a); err != nil || a.FunctionVersion != "1" || a.RoutingConfig.AdditionalVersionWeights["2"] != 0.25 {
		t.Error(out, said, err)
	}
	i.await(t, id, func(s rollout.State) bool { return s.Weight == 2500 })
	if out, said = aws("get-alias", "--function-name", "api-pickups-get", "--name", "live"); !strings.Contains(out, "0.25") {
		t.Error(out, said)
	}
	if _, said = aws("invoke", "--function-name", "wed", "out.json"); !strings.Contains(said, "(ResourceNotFoundException)") || !strings.Contains(said, "titrate fn ls") {
		t.Error(said)
	}
	i.machine.answer = func(node.Invocation) (node.Invoked, error) { return node.Invoked{Failure: invocation.Throttled}, nil }
	if _, said = aws("invoke", "--function-name", "api-pickups-get", "out.json"); !strings.Contains(said, "(TooManyRequestsException)") {
		t.Error(said)
	}
	k.secret = "wrong"
	if _, said = aws("get-function", "--function-name", "api-pickups-get"); !strings.Contains(said, "(InvalidSignatureException)") {
		t.Error(said)
	}
}
