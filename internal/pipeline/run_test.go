package pipeline

import (
	"slices"
	"testing"

	"titrate/internal/manifest"
	"titrate/internal/rollout"
)

func TestStarted_theManifestSaysHowBeforeTheArtifactAndTheImage(t *testing.T) {
	t.Parallel()
	image := &rollout.Image{Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}}
	for name, c := range map[string]struct {
		artifact Artifact
		run      manifest.Run
		want     []string
	}{
		"as built":           {Artifact{Command: []string{"./x"}}, manifest.Run{}, []string{"./x"}},
		"a line":             {Artifact{Command: []string{"./x"}}, manifest.Run{Line: "./x y"}, []string{"/bin/sh", "-c", "./x y"}},
		"arguments":          {Artifact{Command: []string{"./x"}}, manifest.Run{Args: []string{"./x", "y"}}, []string{"./x", "y"}},
		"as the image says":  {Artifact{Image: image}, manifest.Run{}, nil},
		"a line in an image": {Artifact{Image: image}, manifest.Run{Line: "work"}, []string{"/bin/sh", "-c", "work"}},
		"to its entrypoint":  {Artifact{Image: image}, manifest.Run{Args: []string{"work"}}, []string{"/entry", "work"}},
		"without entrypoint": {Artifact{Image: &rollout.Image{Cmd: []string{"a"}}}, manifest.Run{Args: []string{"work"}}, []string{"work"}},
	} {
		if got := started(c.artifact, c.run); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestRun_startsTheSameArtifactInTwoWays has a worker beside a server, of one build.
func TestRun_startsTheSameArtifactInTwoWays(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	how := manifest.Build{Dir: ".", Command: "mkdir out && cp x out", Output: "out"}
	got, err := build(t, b, files(t, "x", "y"), Workload{Name: "web", Build: how, Run: manifest.Run{Line: "cat x"}},
		Workload{Name: "work", Build: how, Run: manifest.Run{Args: []string{"cat", "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Artifact.Digest != got[1].Artifact.Digest || got[0].Artifact.Command[2] != "cat x" || !slices.Equal(got[1].Artifact.Command, []string{"cat", "x"}) {
		t.Errorf("%+v", got)
	}
}
