package importer

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"titrate/internal/manifest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the expected parts of testdata anew")

// collected is what a file says before the manifest's parser has given up what it
// does not know: these files stay the same when the manifest learns a key.
func collected(t *testing.T, tree fstest.MapFS, name string) string {
	t.Helper()
	b, _, err := read(tree, name, Options{Folder: "folder"})
	if err != nil {
		return err.Error() + "\n"
	}
	b.named()
	text, err := b.write()
	if err != nil {
		t.Fatal(err)
	}
	text += "---\n"
	for _, f := range b.needed() {
		text += "-- " + f.Name + "\n" + f.Text + "---\n"
	}
	for _, s := range b.toSet() {
		text += fmt.Sprintf("secret %s of %s%s from %v\n", s.Name, strings.Join(s.Services, ", "), strings.Join(append([]string{""}, s.Environments...), " in "), s.From)
	}
	for _, n := range unique(b.notes) {
		text += fmt.Sprintf("%s %s %s: %s | %s\n", n.Kind, n.Place, n.Key, n.Why, n.Instead)
	}
	return text
}

// TestImport_theCodeBesideDatabases: a compose file that has databases alone says what
// the code has beside it, and no program takes the place of a service that it has.
func TestImport_theCodeBesideDatabases(t *testing.T) {
	t.Parallel()
	programs := []Program{{Name: "shop", Dir: ".", Health: "/healthz", Secrets: []string{"STRIPE_KEY"}}, {Name: "mailer", Dir: "cmd/mailer", Worker: true}}
	for text, want := range map[string]string{
		"services: { db: { image: 'postgres:16' }, cache: { image: 'redis:7' } }": "shop[build health host secrets=DATABASE_URL,REDIS_URL,STRIPE_KEY] mailer[build worker secrets=DATABASE_URL,REDIS_URL] db[use version secret] cache[use secret]",
		"services: { db: { image: 'postgres:16' }, web: { image: nginx } }":       "web[image worker secrets=DATABASE_URL] db[use version secret]",
	} {
		b, _, err := read(fstest.MapFS{"compose.yaml": {Data: []byte(text)}}, "compose.yaml", Options{Folder: "x", Programs: programs})
		if err != nil {
			t.Fatal(err)
		}
		b.named()
		var got []string
		for _, u := range slices.Concat(b.services, b.accessories) {
			var keys []string
			for _, key := range order {
				if names, ok := u.value(key).([]string); ok && key == "secrets" {
					keys = append(keys, key+"="+strings.Join(names, ","))
				} else if u.has(key) {
					keys = append(keys, key)
				}
			}
			got = append(got, fmt.Sprintf("%s%v", u.name, keys))
		}
		if diff := cmp.Diff(strings.Split(want, "] "), strings.Split(strings.Join(got, " "), "] ")); diff != "" {
			t.Errorf("%s: -want +got\n%s", text, diff)
		}
	}
}

// TestImport_golden reads the first file of each archive, among the others, and
// compares with the last, which is called "want".
func TestImport_golden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no golden files")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { return *update && f.Name == "want" })
			tree, want := fstest.MapFS{}, ""
			for _, f := range a.Files {
				if tree[f.Name] = (&fstest.MapFile{Data: f.Data}); f.Name == "want" {
					want = string(f.Data)
				}
			}
			got := collected(t, tree, a.Files[0].Name)
			d, err := Import(tree, a.Files[0].Name, Options{Folder: "folder"})
			if e := (*Error)(nil); err != nil && (!errors.As(err, &e) || e.Code == codeInvalid) {
				t.Error(err)
			}
			if err == nil {
				if _, problems := manifest.Parse([]byte(d.Manifest), manifest.File); problems.Err() != nil {
					t.Errorf("no manifest:\n%s", problems)
				}
			}
			if strings.Contains(got, "sEcReT") {
				t.Error("the value of a secret was copied")
			}
			if *update {
				a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got, rewrite with -update and read the diff:\n%s", diff)
			}
		})
	}
}

// TestImport_badFiles: each is refused by its code, with the line where one is known.
func TestImport_badFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, code, says string }{
		{"fly.toml", "app = 'x'\n[build\n", codeUnread, "line 2"},
		{"fly.toml", "app = 'x'\napp = 'y'\n", codeUnread, "line 2"},
		{"fly.toml", "title = 'some other tool'\n", codeUnread, "not a fly.toml"},
		{"fly.toml", "app = " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000), codeUnread, "nested too deep"},
		{"fly.toml", "app = 'x' # " + strings.Repeat("x", maxTOML), codeUnread, "larger than"},
		{"config/deploy.yml", "a: [", codeUnread, "not a configuration of Kamal"},
		{"config/deploy.yml", "apiVersion: v1\n", codeUnread, "it has no service"},
		{"compose.yaml", "services: [", codeUnread, "not a compose file"},
		{"compose.yaml", "services: { db: { image: 'postgres:16' } }", codeNothing, "runs nothing"},
		{"compose.yaml", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nservices: [*e,*e]\n", codeUnread, "aliases"},
		{"Procfile", "no process", codeNothing, "runs nothing"},
		{"Procfile", "web: \xff", codeUnread, "UTF-8"},
		{"Makefile", "", codeUnknown, "not known"},
	} {
		_, err := Import(fstest.MapFS{c.name: {Data: []byte(c.text)}}, c.name, Options{Folder: "x"})
		if e := (*Error)(nil); !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Error(), c.says) || e.Help == "" {
			t.Errorf("%s %.30q: %v, want %s with %q", c.name, c.text, err, c.code, c.says)
		}
	}
}

func fuzz(f *testing.F, name string) {
	f.Helper()
	format, err := FormatOf(name)
	if err != nil {
		f.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if kind, _ := FormatOf(a.Files[0].Name); kind == format {
			f.Add(a.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Import(fstest.MapFS{name: {Data: src}}, name, Options{Folder: "x"})
		if err != nil {
			if e := (*Error)(nil); errors.As(err, &e) && e.Code == codeInvalid {
				t.Fatal(err)
			}
			return
		}
		if _, problems := manifest.Parse([]byte(d.Manifest), manifest.File); problems.Err() != nil {
			t.Fatalf("%s\n%s", problems, d.Manifest)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzCompose(f *testing.F)  { fuzz(f, "compose.yaml") }
func FuzzKamal(f *testing.F)    { fuzz(f, "config/deploy.yml") }
func FuzzFly(f *testing.F)      { fuzz(f, "fly.toml") }
func FuzzProcfile(f *testing.F) { fuzz(f, "Procfile") }

func FuzzServerless(f *testing.F) { fuzz(f, "serverless.yml") }
func FuzzSAM(f *testing.F)        { fuzz(f, "template.yaml") }
