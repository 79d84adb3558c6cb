package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func artifacts(t *testing.T) *Artifacts {
	t.Helper()
	a, err := OpenArtifacts(filepath.Join(t.TempDir(), "artifacts[1]*?")) // a path, not a pattern
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(a.dir) })
	return a
}

func keep(t *testing.T, a *Artifacts, nameContent ...string) Artifact {
	t.Helper()
	dir, err := os.MkdirTemp(a.dir, ".tmp-")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(nameContent); i += 2 {
		write(t, dir, nameContent[i], nameContent[i+1])
	}
	art, err := a.keep(dir, Artifact{Command: []string{"./run"}, Inputs: "i", BuiltAt: time.Unix(0, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	return art
}

func TestArtifacts_areNamedByTheirContent(t *testing.T) {
	t.Parallel()
	a := artifacts(t)
	one := keep(t, a, "run", "#!/bin/sh\n", "sub/data", "x")
	if same := keep(t, a, "sub/data", "x", "run", "#!/bin/sh\n"); same.Digest != one.Digest {
		t.Error("the same content has another name")
	}
	for name, other := range map[string][]string{
		"content": {"run", "#!/bin/sh\n", "sub/data", "y"}, "name": {"run", "#!/bin/sh\n", "sub/date", "x"},
		"mode": {"run", "#!/bin/sh\n", "sub/data", "#!x"}, "more": {"run", "#!/bin/sh\n", "sub/data", "x", "z", ""},
	} {
		if keep(t, a, other...).Digest == one.Digest {
			t.Errorf("another %s has the same name", name)
		}
	}
	if one.Size != 11 {
		t.Errorf("size %d", one.Size)
	}
	if got, err := a.Describe(one.Digest); err != nil || got.Command[0] != "./run" {
		t.Error(got, err)
	}
	for _, d := range []string{"", "../x", strings.Repeat("a", 64)} {
		if _, err := a.Describe(d); !errors.Is(err, ErrNoArtifact) {
			t.Errorf("%q: %v", d, err)
		}
	}
	info, err := os.Stat(filepath.Join(a.Path(one.Digest), "sub/data"))
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Error("not read-only", info, err)
	}
}

func TestArtifacts_tellWhatIsCorrupt(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(dir string){
		"cut":     func(dir string) { os.Truncate(filepath.Join(dir, "run"), 3) },
		"flipped": func(dir string) { os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sH\n"), 0o755) },
		"missing": func(dir string) { os.Remove(filepath.Join(dir, "run")) },
		"more":    func(dir string) { os.WriteFile(filepath.Join(dir, "extra"), nil, 0o644) },
		"mode":    func(dir string) { os.Chmod(filepath.Join(dir, "run"), 0o644) },
		"record":  func(dir string) { os.WriteFile(dir+".json", []byte(`{"digest":"`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := artifacts(t)
			art := keep(t, a, "run", "#!/bin/sh\n")
			if err := a.Verify(art.Digest); err != nil {
				t.Fatal(err)
			}
			dir := a.Path(art.Digest)
			os.Chmod(dir, 0o755)
			os.Chmod(filepath.Join(dir, "run"), 0o755)
			damage(dir)
			var corrupt *CorruptError
			if err := a.Verify(art.Digest); !errors.As(err, &corrupt) || !strings.Contains(err.Error(), CodeCorrupt) {
				t.Error(err)
			}
		})
	}
}

func TestArtifacts_gcKeepsWhatIsNamedAndWhatIsNew(t *testing.T) {
	t.Parallel()
	a := artifacts(t)
	kept, old := keep(t, a, "run", "kept"), keep(t, a, "run", "old", "sub/x", "y")
	if n, err := a.GC(map[string]bool{kept.Digest: true}, time.Hour, time.Now()); n != 0 || err != nil {
		t.Fatal("removed what may be about to be named", n, err)
	}
	n, err := a.GC(map[string]bool{kept.Digest: true}, time.Hour, time.Now().Add(2*time.Hour))
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := a.Verify(kept.Digest); err != nil {
		t.Error(err)
	}
	if _, err := a.Describe(old.Digest); !errors.Is(err, ErrNoArtifact) {
		t.Error(err)
	}
}

func TestArtifacts_gcLeavesWhatAPushUnderWayHasReused(t *testing.T) {
	t.Parallel()
	b := builder(t, nil)
	source := files(t, "x", "y")
	long := time.Now().Add(-8 * 24 * time.Hour)
	for name, command := range map[string]Workload{"the same inputs": shell("echo > out"), "the same output": shell("echo > out; true")} {
		art := mustBuild(t, b, source, shell("echo > out"))[0].Artifact
		if err := os.Chtimes(b.artifacts.Path(art.Digest), long, long); err != nil {
			t.Fatal(err)
		}
		again := mustBuild(t, b, source, command)[0].Artifact
		n, err := b.artifacts.GC(nil, 7*24*time.Hour, time.Now())
		if again.Digest != art.Digest || n != 0 || err != nil || b.artifacts.Verify(art.Digest) != nil {
			t.Errorf("%s: %d removed, %v", name, n, err)
		}
	}
}

func TestArtifacts_forgetWhatACrashLeftHalfStored(t *testing.T) {
	t.Parallel()
	a := artifacts(t)
	half := filepath.Join(a.dir, ".tmp-123")
	write(t, half, "sub/run", "half")
	os.Chmod(filepath.Join(half, "sub"), 0o555)
	if _, err := OpenArtifacts(a.dir); err != nil || exists(half) {
		t.Error("it is still there", err)
	}
	// Renamed and not yet described: not there, and stored again without trouble.
	art := keep(t, a, "run", "whole")
	os.Remove(a.Path(art.Digest) + ".json")
	if _, err := a.Describe(art.Digest); !errors.Is(err, ErrNoArtifact) {
		t.Error(err)
	}
	if again := keep(t, a, "run", "whole"); again.Digest != art.Digest || a.Verify(art.Digest) != nil {
		t.Error("it was not stored again")
	}
}
