package pipeline

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkSevenServices builds seven programs of one module, each with an HTTP
// server and SQLite, as examples/cofe has them. Run it with
//
//	go test -run xxx -bench SevenServices -benchtime 1x ./internal/pipeline
//
// "first" finds what the user's own build cache has; "unchanged" is what a build
// costs beyond the go command; "direct" is `go build` of the same without us.
func BenchmarkSevenServices(b *testing.B) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		b.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		t := &testing.T{}
		source := b.TempDir()
		write(t, source, "go.mod", strings.Replace(string(mod), "module titrate", "module example.com/seven", 1))
		write(t, source, "go.sum", string(sum))
		write(t, source, "shared/shared.go", "package shared\n\nimport (\n\t\"database/sql\"\n\t\"net/http\"\n\n\t_ \"modernc.org/sqlite\"\n)\n\nfunc Serve(name string) error {\n\tif _, err := sql.Open(\"sqlite\", name); err != nil {\n\t\treturn err\n\t}\n\treturn http.ListenAndServe(\":0\", nil)\n}\n")
		var ws []Workload
		for i := range 7 {
			name := fmt.Sprintf("s%d", i)
			write(t, source, "services/"+name+"/main.go", "package main\n\nimport \"example.com/seven/shared\"\n\nfunc main() { panic(shared.Serve(\""+name+"\")) }\n")
			ws = append(ws, goService(name, "services/"+name))
		}
		bb := benchBuilder(b)
		measure := func(what string, f func() error) {
			began := time.Now()
			if err := f(); err != nil {
				b.Fatal(what, err)
			}
			b.ReportMetric(time.Since(began).Seconds(), what+"-s")
		}
		ours := func() error {
			_, err := bb.Build(b.Context(), Job{App: "seven", Label: "r1", Source: source, Workloads: ws})
			return err
		}
		measure("first", ours)
		measure("unchanged", ours)
		write(t, source, "services/s3/main.go", "package main\n\nimport \"example.com/seven/shared\"\n\nfunc main() { panic(shared.Serve(\"changed\")) }\n")
		measure("one-changed", ours)
		write(t, source, "services/s3/main.go", "package main\n\nimport \"example.com/seven/shared\"\n\nfunc main() { panic(shared.Serve(\"again\")) }\n")
		measure("direct-one-changed", func() error {
			c := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-w", "-o", b.TempDir()+"/", "./services/s3")
			c.Dir = source
			return c.Run()
		})
	}
}

func benchBuilder(b *testing.B) *Builder {
	b.Helper()
	bb, err := Open(Config{Dir: b.TempDir(), Launcher: []string{os.Args[0]}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { removeAll(bb.artifacts.dir); removeAll(bb.path("builds")) })
	return bb
}

// BenchmarkSixtyFourFunctions builds sixty-four functions of one module with aws-lambda-go:
// in a folder each, a third of them named by their route, and all in one. Run it with
//
//	go test -run xxx -bench SixtyFour -benchtime 1x ./internal/pipeline
func BenchmarkSixtyFourFunctions(b *testing.B) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		b.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		b.Fatal(err)
	}
	code := func(says string) string {
		return "package main\n\nimport \"github.com/aws/aws-lambda-go/lambda\"\n\nfunc main() { lambda.Start(func() (string, error) { return \"" + says + "\", nil }) }\n"
	}
	for range b.N {
		t := &testing.T{}
		source := b.TempDir()
		write(t, source, "go.mod", strings.Replace(string(mod), "module titrate", "module example.com/many", 1))
		write(t, source, "go.sum", string(sum))
		write(t, source, "all/main.go", code("all"))
		var apart, one []Workload
		for i := range 64 {
			name := fmt.Sprintf("f%d", i)
			dir := "jobs/" + name
			if i%3 == 0 {
				dir = "api/" + name + "/[id]/get"
			}
			write(t, source, dir+"/main.go", code(name))
			apart, one = append(apart, function(name, dir)), append(one, function(name, "all", "go", name))
		}
		bb := benchBuilder(b)
		measure := func(what string, ws []Workload) {
			began := time.Now()
			if _, err := bb.Build(b.Context(), Job{App: "many", Label: "r1", Source: source, Workloads: ws}); err != nil {
				b.Fatal(what, err)
			}
			b.ReportMetric(time.Since(began).Seconds(), what+"-s")
		}
		measure("apart", apart)
		logs, err := filepath.Glob(bb.path("logs", "builds", "many", "r1", "*.compile.log"))
		if err != nil || len(logs) != 64 {
			b.Fatalf("%d logs, %v", len(logs), err)
		}
		text, err := os.ReadFile(logs[0])
		if err != nil || strings.Count(string(text), " ./") != 64 {
			b.Fatalf("not one go build: %s, %v", text, err)
		}
		measure("unchanged", apart)
		write(t, source, "jobs/f1/main.go", code("changed"))
		measure("one-changed", apart)
		measure("in-one", one)
		write(t, source, "all/main.go", code("changed"))
		measure("in-one-changed", one)
	}
}
