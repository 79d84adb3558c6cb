package collect

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// languages are the functions that can be in another language than Go, by folder: the
// file that does what the folder's Go file does.
func languages(o Options) map[string]string {
	all := map[string]string{}
	if o.Node {
		all["api/prices/get"], all["notify/sms"] = "index.mjs", "index.mjs"
	}
	if o.Python {
		all["notify/dashboard"], all["timers/nightly/forecast"] = "lambda_function.py", "lambda_function.py"
	}
	return all
}

// other puts functions in other languages in the place of their Go files: those leave the
// one program, and are built in their own folders.
func other(files map[string]string, o Options) error {
	const table, manifest = "functions/functions.go", "titrate.yaml"
	all := languages(o)
	for _, folder := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		file := all[folder]
		var kept []string
		alias := ""
		for line := range strings.Lines(files[table]) {
			if strings.Contains(line, `"`+module+"/"+folder+`"`) {
				alias = strings.Fields(line)[0]
				continue
			}
			if alias != "" && strings.Contains(line, `"`+folder+`", `+alias+".Handle)") {
				continue
			}
			kept = append(kept, line)
		}
		if alias == "" {
			return fmt.Errorf("%s does not have %s", table, folder)
		}
		files[table] = strings.Join(kept, "")
		for name := range files {
			if path.Dir(name) == folder {
				delete(files, name)
			}
		}
		content, err := fs.ReadFile(extras, path.Join("polyglot", folder, file))
		if err != nil {
			return fmt.Errorf("read the sources: %w", err)
		}
		files[folder+"/"+file] = string(content)
		const head = "functions: # 64 folders, one program\n"
		if err := (edit{manifest, head, head + "  " + folder + ": { build: " + folder + " }\n"}).apply(files); err != nil {
			return err
		}
	}
	return nil
}
