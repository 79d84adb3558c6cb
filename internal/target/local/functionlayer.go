package local

import (
	"os"
	"path/filepath"
	"strings"

	"titrate/internal/target/local/runtimes"
	"titrate/internal/world"
)

// layersVar says where the files of a function's layers are.
const layersVar = "TITRATE_LAYERS"

// layers is the folder with the files of a fleet's layers; empty: it has none.
func (s *Supervisor) layers(spec world.Fleet) string {
	dir := filepath.Join(s.artifact(spec.Artifact), filepath.FromSlash(world.Layers))
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// layerPaths are the variables by which programs look into layers, each with what is added
// to its end, as in Lambda for /opt ("Working with layers", "Using Lambda environment
// variables").
func layerPaths(dir string, run runtimes.Runtime) map[string]string {
	paths := map[string][]string{"PATH": {"bin"}, "LD_LIBRARY_PATH": {"lib"}}
	switch run.Family {
	case runtimes.Node:
		major, _, _ := strings.Cut(run.Version.String(), ".")
		paths["NODE_PATH"] = []string{"nodejs/node" + major + "/node_modules", "nodejs/node_modules"}
	case runtimes.Python:
		paths["PYTHONPATH"] = []string{"python/lib/python" + run.Version.String() + "/site-packages", "python"}
	case runtimes.Provided: // reads no modules
	}
	all := map[string]string{layersVar: dir}
	for name, below := range paths {
		var found []string
		for _, p := range below {
			at := filepath.Join(dir, filepath.FromSlash(p))
			if _, err := os.Stat(at); err == nil {
				found = append(found, at)
			}
		}
		if found != nil {
			all[name] = strings.Join(found, string(os.PathListSeparator))
		}
	}
	return all
}

// withLayers adds the paths of layers to an environment, after what it has.
func withLayers(env []string, paths map[string]string) []string {
	for i, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if add := paths[name]; add != "" && value != "" && name != layersVar {
			env[i] = kv + string(os.PathListSeparator) + add
			delete(paths, name)
		}
	}
	for name, value := range paths {
		env = append(env, name+"="+value)
	}
	return env
}
