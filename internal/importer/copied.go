package importer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// File is one to be written beside the manifest.
type File struct {
	Name string `json:"name"` // relative to the repository's root
	Text string `json:"text"`
}

// copied is a file or folder of the repository that compose mounts into an image.
type copied struct {
	source, target string
	from           *node
}

// inRepository reports which file or folder of the repository is mounted; empty: none.
// What has values of variables in it belongs into no image.
func (c *composition) inRepository(v *node, source, target string) string {
	at, ok := repoPath(path.Dir(v.file), source)
	if !ok || !strings.HasPrefix(source, ".") || !path.IsAbs(target) || strings.HasPrefix(path.Base(at), ".env") {
		return ""
	}
	info, err := fs.Stat(c.tree, at)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return ""
	}
	return at
}

// copy makes a service of an image with the files of the repository that are mounted
// into it: a Dockerfile says so, since a version holds its files.
func (c *composition) copy(u *unit, files []copied) {
	image, _ := u.value("image").(string)
	dir := path.Dir(files[0].source)
	for _, f := range files[1:] {
		for at := path.Dir(f.source); dir != "." && at != dir && !strings.HasPrefix(at, dir+"/"); {
			dir = path.Dir(dir)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# %s, and what %s mounts into it.\nFROM %s\n", image, files[0].from.file, image)
	for _, f := range files {
		source := f.source
		if dir != "." {
			source = strings.TrimPrefix(source, dir+"/")
		}
		line := source + " " + f.target
		if strings.ContainsAny(source+f.target, " \"'$\\") {
			words, _ := json.Marshal([]string{source, f.target}) // strings can be written
			line = string(words)
		}
		fmt.Fprintln(&text, "COPY", line)
	}
	name := u.name + ".Dockerfile" // another name would be that of whatever is built there
	at := path.Join(dir, name)
	for c.exists(at) {
		name = "titrate." + name
		at = path.Join(dir, name)
	}
	c.files = append(c.files, File{at, text.String()})
	u.drop("image")
	u.set("build", []said{{"dir", dir, files[0].from}, {"dockerfile", name, files[0].from}}, files[0].from)
	for _, f := range files {
		c.note(f.from, Changed, f.source+" is copied into the image by "+at+": a version holds its files, and what is written there is lost with its instance", "")
	}
}

// made is the text of a file that is to be written; empty: there is none.
func (b *builder) made(name string) string {
	for _, f := range b.files {
		if f.Name == name {
			return f.Text
		}
	}
	return ""
}

// needed are the files of services and functions that are left.
func (b *builder) needed() []File {
	files := []File{}
	for _, u := range b.services {
		if _, name := b.dockerfile(u); b.made(name) != "" {
			files = append(files, File{name, b.made(name)})
		}
	}
	for _, u := range b.functions {
		for _, f := range b.files {
			if path.Dir(f.Name) == u.value("build") {
				files = append(files, f)
			}
		}
	}
	return files
}
