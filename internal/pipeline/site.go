package pipeline

import (
	"context"
	"io/fs"
	"path"
	"path/filepath"
)

// siteFolder returns the folder with the index.html of a site that needs no build.
func siteFolder(tree fs.FS, dir string) string {
	for _, sub := range []string{".", "public", "site", "www", "dist", "build", "html"} {
		if isFile(tree, path.Join(dir, sub, "index.html")) {
			return path.Join(dir, sub)
		}
	}
	return ""
}

// planSite plans a folder of files that is served as it is, or as its package.json
// builds it.
func (r *run) planSite(ctx context.Context, tree fs.FS, w Workload) (plan, error) {
	dir := w.Build.Dir
	if pkg, err := readPackage(tree, dir); err == nil && pkg.Scripts["build"] != "" {
		w.Build.With = "static"
		return r.planNode(ctx, tree, w)
	}
	from := siteFolder(tree, dir)
	if w.Build.Output != "" {
		from = path.Join(dir, w.Build.Output)
	}
	if from == "" || !isDir(tree, from) {
		return plan{}, fault(w, CodeNothing, StepDetect, "there is no site in "+dir+": no index.html, also not in public, site, www, dist, build or html", "build: {with: static, output: FOLDER}")
	}
	if f := w.Build.Fallback; f != "" && !isFile(tree, path.Join(from, f)) {
		return plan{}, fault(w, CodeNothing, StepDetect, "the site has no "+f+" to fall back to", "build: {fallback: …} names a file of the site")
	}
	return plan{
		language: "static", root: dir, dir: ".", site: true, serves: w.Build.Fallback,
		take: func(src, _ string) (string, error) {
			return filepath.Join(src, filepath.FromSlash(relative(dir, from))), nil
		},
	}, nil
}
