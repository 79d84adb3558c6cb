package lambdaapi

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// column is one member of each thing in a list.
func column(t *testing.T, a answered, list, member string) []string {
	t.Helper()
	all, ok := a.json(t)[list].([]any)
	if !ok {
		t.Fatalf("no %s: %+v", list, a)
	}
	var out []string
	for _, v := range all {
		out = append(out, fmt.Sprint(v.(map[string]any)[member]))
	}
	return out
}

func TestVersions_areThoseOfPushes(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	i.deliver(t, "b2", at(1000))
	if a := i.ask(t, k, "GET", "", ""); a.status != 200 || strings.Join(column(t, a, "Functions", "FunctionName"), " ") != "api-pickups-get nightly-report" {
		t.Errorf("%+v", a)
	}
	if a := i.ask(t, k, "GET", "/?FunctionVersion=ALL", ""); strings.Join(column(t, a, "Functions", "Version"), " ") != "$LATEST 1 2 $LATEST 1" {
		t.Errorf("%+v", a)
	}
	if a := i.ask(t, k, "GET", "/api-pickups-get/versions", ""); strings.Join(column(t, a, "Versions", "Version"), " ") != "$LATEST 1 2" || a.json(t)["NextMarker"] != nil {
		t.Errorf("%+v", a)
	}
	// By pages of two.
	a := i.ask(t, k, "GET", "/api-pickups-get/versions?MaxItems=2", "")
	marker, _ := a.json(t)["NextMarker"].(string)
	if strings.Join(column(t, a, "Versions", "Version"), " ") != "$LATEST 1" || marker == "" {
		t.Errorf("%+v", a)
	}
	a = i.ask(t, k, "GET", "/api-pickups-get/versions?MaxItems=2&Marker="+url.QueryEscape(marker), "")
	if strings.Join(column(t, a, "Versions", "Version"), " ") != "2" || a.json(t)["NextMarker"] != nil {
		t.Errorf("%+v", a)
	}
	refused(t, i.ask(t, k, "GET", "/api-pickups-get/versions?Marker=x", ""), 400, "InvalidParameterValueException", "marker")
	refused(t, i.ask(t, k, "GET", "/api-pickups-get/versions?MaxItems=0", ""), 400, "InvalidParameterValueException", "MaxItems")

	conf := i.ask(t, k, "GET", "/api-pickups-get/configuration?Qualifier=1", "").json(t)
	raw, _ := hex.DecodeString(strings.Repeat("a", 64))
	for member, want := range map[string]any{
		"Version": "1", "FunctionArn": "arn:aws:lambda:local:000000000000:function:api-pickups-get:1", "Runtime": "nodejs22.x", "Handler": "index.handler",
		"Timeout": 3.0, "MemorySize": 256.0, "CodeSha256": base64.StdEncoding.EncodeToString(raw), "State": "Active", "PackageType": "Zip",
	} {
		if conf[member] != want {
			t.Errorf("%s is %v, want %v", member, conf[member], want)
		}
	}
	if got := i.ask(t, k, "GET", "/api-pickups-get?Qualifier=live", ""); got.status != 200 || !strings.Contains(got.body, `"Version":"1"`) || !strings.Contains(got.body, `"ReservedConcurrentExecutions":10`) {
		t.Errorf("%+v", got)
	}
	refused(t, i.ask(t, k, "GET", "/api-pickups-get?Qualifier=9", ""), 404, "ResourceNotFoundException", "api-pickups-get:9")
	refused(t, i.ask(t, k, "GET", "/site", ""), 404, "ResourceNotFoundException", "is a service")
}

func TestPublishVersion_returnsWhatAPushHasMade(t *testing.T) {
	t.Parallel()
	i := install(t)
	k := i.local(t)
	i.deliver(t, "a1", over)
	i.deliver(t, "b2", at(1000))
	const path = "/api-pickups-get/versions"
	for body, want := range map[string]string{
		"": "2", "{}": "2", `{"CodeSha256":"` + codeOf("b") + `"}`: "2", `{"CodeSha256":"` + codeOf("a") + `"}`: "1",
	} {
		if a := i.ask(t, k, "POST", path, body); a.status != 201 || a.json(t)["Version"] != want {
			t.Errorf("%s: %+v", body, a)
		}
	}
	refused(t, i.ask(t, k, "POST", path, `{"CodeSha256":"`+codeOf("c")+`"}`), 400, "InvalidParameterValueException", "git push")
	refused(t, i.ask(t, k, "POST", path, `{"RevisionId":"00000000-0000-4000-8000-000000000000"}`), 412, "PreconditionFailedException")
	now := i.ask(t, k, "GET", "/api-pickups-get/configuration", "").json(t)
	if a := i.ask(t, k, "POST", path, fmt.Sprintf(`{"RevisionId":%q,"CodeSha256":%q}`, now["RevisionId"], now["CodeSha256"])); a.status != 201 {
		t.Errorf("%+v", a)
	}
}

func codeOf(digit string) string {
	raw, _ := hex.DecodeString(strings.Repeat(digit, 64))
	return base64.StdEncoding.EncodeToString(raw)
}
