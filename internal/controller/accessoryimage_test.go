package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"titrate/internal/controller"
	"titrate/internal/rollout"
)

const withMySQL = `titrate: 1
app: cofe
defaults: { rollout: AllAtOnce, bake: 0, drain: 0 }
services:
  orders: { build: orders, secrets: [DB_URL] }
accessories:
  db: { image: "mysql:8", port: 3306, env: { MYSQL_ROOT_PASSWORD: $PASSWORD }, secrets: [LICENCE], volumes: { data: /var/lib/mysql }, url: "mysql://root:$PASSWORD@$HOST:$PORT/app" }
`

// mysql is what an image was at a push.
func mysql(digest string) rollout.Artifact {
	return rollout.Artifact{Digest: strings.Repeat(digest, 64), Image: &rollout.Image{Digest: "sha256:" + strings.Repeat(digest, 64), Ref: "mysql:8", Ports: []int{3306}}}
}

// deliverImage delivers a manifest with what its accessory's image is.
func (p *place) deliverImage(text, artifact, digest string) controller.Delivered {
	p.t.Helper()
	d := delivery(p.t, text, map[string]string{"orders": artifact})
	d.Artifact["db"] = mysql(digest)
	d.Commit += digest + fmt.Sprint(len(text))
	got, err := p.Deliver(p.t.Context(), d)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, id := range got.Rollouts {
		p.ended(id, rollout.Promoted)
	}
	p.tick()
	return got
}

// TestR28_anAccessoryIsGivenAnotherImageByAPersonAlone and what of it is no part of its
// process holds at once.
func TestR28_anAccessoryIsGivenAnotherImageByAPersonAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.vault["LICENCE"] = "paid"
	if got := p.deliverImage(withMySQL, "o1", "a").Accessories; len(got) != 1 || got[0].What != controller.AccessoryStarts {
		t.Errorf("%+v", got)
	}
	runs := func(digest string) {
		t.Helper()
		all := p.hands.accessories()
		if len(all) != 1 || all[0].Spec.Artifact.Image.Digest != "sha256:"+strings.Repeat(digest, 64) || all[0].Secrets["LICENCE"] != "paid" {
			t.Errorf("%+v", all)
		}
	}
	runs("a")
	if got := p.deliverImage(withMySQL, "o2", "a").Accessories; len(got) != 0 {
		t.Errorf("the same again: %+v", got)
	}

	got := p.deliverImage(withMySQL, "o3", "b").Accessories
	if len(got) != 1 || got[0].What != controller.AccessoryWaits || !strings.Contains(got[0].Why, "mysql:8 (sha256:aaaaaaaaaaaa) runs on; to take mysql:8 (sha256:bbbbbbbbbbbb): titrate accessory restart db --env production") {
		t.Errorf("%+v", got)
	}
	runs("a")
	changed := strings.Replace(withMySQL, "3306, env: {", "3306, env: { X: y,", 1)
	if got := p.deliverImage(changed, "o4", "a").Accessories; len(got) != 1 || !strings.Contains(got[0].Why, "runs on; to take its new settings") {
		t.Errorf("%+v", got)
	}
	if all := p.hands.accessories(); all[0].Spec.Env["X"] != "" {
		t.Errorf("%+v", all)
	}
	if st := p.Accessories("cofe", "production"); !strings.Contains(st[0].Waiting(), "its new settings") {
		t.Errorf("%+v", st)
	}
	// Taken back before anybody restarted it.
	if got := p.deliverImage(withMySQL, "o5", "a").Accessories; len(got) != 0 || p.Accessories("cofe", "")[0].Waiting() != "" {
		t.Errorf("%+v", got)
	}

	p.deliverImage(changed, "o6", "b")
	task, err := p.AskAccessory(t.Context(), database, rollout.AccessoryTask{Kind: rollout.TaskRestart, By: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	p.tick()
	runs("b")
	if a := p.hands.accessories()[0]; a.Spec.Env["X"] != "y" || a.Task == nil || *a.Task != task || p.Accessories("cofe", "")[0].Waiting() != "" {
		t.Errorf("%+v", a)
	}
}

// TestAccessory_thatNeverCameUpTakesWhatIsPushed because it holds nothing.
func TestAccessory_thatNeverCameUpTakesWhatIsPushed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.vault["LICENCE"] = "paid"
	p.hands.barren = true
	p.deliverImage(withMySQL, "o1", "a")
	if got := p.deliverImage(withMySQL, "o2", "b").Accessories; len(got) != 1 || got[0].What != controller.AccessoryChanges {
		t.Errorf("%+v", got)
	}
	if a := p.hands.accessories()[0]; a.Spec.Artifact.Digest != strings.Repeat("b", 64) {
		t.Errorf("%+v", a)
	}
}

// TestPush_goesOnWithoutTheRegistryOfAnAccessory that has its image already.
func TestPush_goesOnWithoutTheRegistryOfAnAccessory(t *testing.T) {
	t.Parallel()
	away := false
	r := run(t, t.TempDir(), builder(func(_ context.Context, b controller.BuildRequest) (map[string]rollout.Artifact, error) {
		out := map[string]rollout.Artifact{}
		for _, s := range b.Services {
			switch {
			case s.Image == "":
				out[s.Name] = rollout.Artifact{Digest: strings.Repeat("c", 64)}
			case away:
				return nil, fmt.Errorf("the registry does not answer: %w", controller.ErrBuild)
			default:
				art := mysql("a")
				art.Image.Volumes = []string{"/etc/mysql", "/var/lib/mysql"}
				out[s.Name] = art
			}
		}
		return out, nil
	}))
	r.vault["LICENCE"] = "paid"
	push := aPush("c1")
	push.Manifest = []byte(withMySQL)
	var out bytes.Buffer
	if _, err := r.push(t, push, &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "db keeps nothing of /etc/mysql when it starts again: add volumes: { data: /etc/mysql }") || strings.Contains(got, "nothing of /var/lib/mysql") {
		t.Error(got)
	}
	away, push.Commit = true, "c2"
	if got, err := r.push(t, push, &out); err != nil || len(got.Accessories) != 0 || !strings.Contains(out.String(), "mysql:8 could not be looked up, and stays what it was") {
		t.Errorf("%+v, %v\n%s", got, err, out.String())
	}
	push.Commit, push.Manifest = "c3", []byte(strings.ReplaceAll(withMySQL, "mysql:8", "mysql:9"))
	if _, err := r.push(t, push, io.Discard); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
	// Where its secret is set by hand nobody asks for it.
	r.vault["DB_URL"] = "mysql://elsewhere"
	push.Commit = "c4"
	if _, err := r.push(t, push, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestPush_tellsOfAllSecretsThatAreNotSet at once, of services and of accessories.
func TestPush_tellsOfAllSecretsThatAreNotSet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := delivery(t, strings.Replace(withMySQL, "secrets: [DB_URL", "secrets: [SESSION_KEY, DB_URL", 1), map[string]string{"orders": "o1"})
	d.Artifact["db"] = mysql("a")
	if _, err := p.Deliver(t.Context(), d); err == nil || !strings.Contains(err.Error(), "[LICENCE SESSION_KEY]") {
		t.Error(err)
	}
}
