package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// taken keeps a function that the repository holds ready: a folder with a bootstrap, or
// what output of its build names.
func (r *run) taken(ctx context.Context, w Workload) {
	art, reused, err := r.takeReady(ctx, w)
	r.done(ctx, w.Name, Result{Artifact: art, Reused: reused, Err: err})
}

func (r *run) takeReady(ctx context.Context, w Workload) (art Artifact, reused bool, err error) {
	release, err := r.slot(ctx)
	if err != nil {
		return art, false, err
	}
	defer release()
	from := path.Join(w.Build.Dir, w.Build.Output)
	copied, err := r.folder(w.Name)
	if err != nil {
		return art, false, err
	}
	name, err := r.copyReady(ctx, w, from, copied)
	if err != nil {
		return art, false, err
	}
	rec := newRecipe("ready function")
	rec.add(name, w.Function.Runtime)
	if err := rec.tree(copied, "."); err != nil {
		return art, false, notKept(ctx, w, err)
	}
	art.Inputs = rec.digest()
	if kept, ok := r.recall(art.Inputs); ok {
		return kept, true, nil
	}
	log, err := r.openLog(w.Name, StepDetect)
	if err != nil {
		return art, false, err
	}
	log.say("%s is taken as it is", from)
	if err := log.close(); err != nil {
		return art, false, err
	}
	art.BuiltAt, art.Toolchain = r.began.UTC(), from+" as it is"
	art, err = r.keepFunctionFolder(ctx, w, copied, name, art)
	return art, false, err
}

// copyReady copies a file or a folder of the repository into the folder to, without what says how it is
// released and the folders of other workloads, and returns where in it it is.
func (r *run) copyReady(ctx context.Context, w Workload, from, to string) (name string, err error) {
	source, err := os.OpenRoot(r.job.Source)
	if err != nil {
		return "", fmt.Errorf("take %s: %w", from, err)
	}
	defer source.Close() //nolint:errcheck // only read
	info, err := source.Stat(from)
	if err != nil {
		return "", fault(w, CodeOutput, StepKeep, "the repository has no "+from, "build: { output: … } names a file or folder below the function's folder")
	}
	if !info.IsDir() {
		if err := copyFile(filepath.Join(to, path.Base(from)), source, from, r.allowance(ctx)); err != nil {
			return "", notKept(ctx, w, err)
		}
		return path.Base(from), nil
	}
	tree, err := source.OpenRoot(from)
	if err != nil {
		return "", fmt.Errorf("take %s: %w", from, err)
	}
	defer tree.Close() //nolint:errcheck // only read
	if err := copyInto(to, tree, r.allowance(ctx)); err != nil {
		return "", notKept(ctx, w, err)
	}
	for _, other := range append(r.apart(os.DirFS(r.job.Source), w, plan{root: from}), "titrate.yaml", ".git", ".gitignore", ".gitattributes") {
		if err := removeAll(filepath.Join(to, filepath.FromSlash(other))); err != nil {
			return "", fmt.Errorf("take %s: %w", from, err)
		}
	}
	return ".", nil
}

// keepFunctionFolder makes the artifact of a function of what lies at name in a folder: a
// folder as it is, a zip unpacked, a program as the bootstrap.
func (r *run) keepFunctionFolder(ctx context.Context, w Workload, folder, name string, art Artifact) (Artifact, error) {
	dir, err := os.MkdirTemp(r.artifacts.dir, ".tmp-")
	if err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	defer removeAll(dir) //nolint:errcheck // removed at the next start otherwise
	if err := os.Chmod(dir, 0o755); err != nil {
		return art, fmt.Errorf("keep artifact: %w", err)
	}
	if err := r.functionFiles(ctx, w, folder, name, dir); err != nil {
		return art, err
	}
	kept, err := r.artifacts.keep(dir, art)
	if err != nil {
		return art, notKept(ctx, w, err)
	}
	return kept, r.remember(kept)
}

// functionFiles puts what lies at name in a folder into the folder to.
func (r *run) functionFiles(ctx context.Context, w Workload, folder, name, to string) error {
	root, err := os.OpenRoot(folder) // no link of a build leads out of it
	if err != nil {
		return fmt.Errorf("keep artifact: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read
	info, err := root.Stat(name)
	if err != nil {
		return fault(w, CodeOutput, StepKeep, fmt.Sprintf("the build went well and left no %s", name), "build: { output: … } names the file, the zip or the folder that it leaves")
	}
	may := r.allowance(ctx)
	f, _, _ := familyOf(w.Function.Runtime)
	switch {
	case info.IsDir():
		sub, err := root.OpenRoot(name)
		if err != nil {
			return fmt.Errorf("keep artifact: %w", err)
		}
		defer sub.Close() //nolint:errcheck // only read
		if err := copyInto(to, sub, may); err != nil {
			return notKept(ctx, w, err)
		}
		return nil
	case strings.EqualFold(path.Ext(name), ".zip"):
		return r.unpack(ctx, w, root, name, to, may)
	}
	as := path.Base(name)
	if f == providedFamily {
		as = "bootstrap"
	}
	if err := copyFile(filepath.Join(to, as), root, name, may); err != nil {
		return notKept(ctx, w, err)
	}
	return nil
}

// unpack unpacks the zip of a function, with a log of what it held.
func (r *run) unpack(ctx context.Context, w Workload, root *os.Root, name, to string, may allow) error {
	log, err := r.openLog(w.Name, StepKeep)
	if err != nil {
		return err
	}
	defer log.close() //nolint:errcheck // a log that is cut short is still a log
	log.say("$ unzip %s", name)
	files, size, err := unzip(root, name, to, may)
	var bad *zipError
	switch {
	case errors.As(err, &bad):
		log.say("%s", bad.saw)
		return fault(w, CodePackage, StepKeep, name+": "+bad.saw, bad.help)
	case err != nil:
		return notKept(ctx, w, err)
	}
	log.say("%d files, %d bytes", files, size)
	return nil
}

// keepFunctionOutput makes the artifact of a function of what a command has left; with
// no output named, of the whole folder.
func (r *run) keepFunctionOutput(ctx context.Context, w Workload, source string, art Artifact) (Artifact, error) {
	output := path.Clean(w.Build.Output) // "." where none is named
	if !fs.ValidPath(output) {
		return art, fault(w, CodeOutput, StepKeep, "the output "+w.Build.Output+" lies outside of the function's folder", "build: { output: … } names what the command leaves, below "+w.Build.Dir)
	}
	return r.keepFunctionFolder(ctx, w, source, output, art)
}
