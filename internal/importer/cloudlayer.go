package importer

import (
	"path"
	"strings"
)

// layer gives a function a layer of the project: a folder or a zip of the repository that
// holds what AWS would unpack to /opt.
func (b *builder) layer(f *cloudFunction, name, at string, from *node) {
	dir, ok := repoPath(path.Dir(b.file), at)
	if at == "" || !ok || dir == "." || !b.exists(dir) {
		why := "what is in the layer " + name + " is not said"
		if at != "" {
			why = "the layer " + name + " is made of " + at + ", which is not in the repository"
		}
		b.note(from, Lost, why, "put its folder, or the zip that is uploaded to AWS, into the repository: layers: [layers/"+kebab(name)+".zip]")
		return
	}
	have, _ := f.value("layers").([]string)
	f.set("layers", append(have[:len(have):len(have)], dir), from)
}

// foreign notes a layer that is none of the project.
func (b *builder) foreign(name string, from *node) {
	why := "the layer " + name + " is not of this project"
	if strings.HasPrefix(name, "arn:") && !strings.Contains(name, "$") {
		why += ": AWS has it"
	}
	b.note(from, Lost, why, "aws lambda get-layer-version-by-arn has its zip: layers: [layers/NAME.zip], once that lies in the repository")
}
