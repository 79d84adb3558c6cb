package runtimes

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed clients/titrate-node.mjs clients/titrate_python.py
var clients embed.FS

// client is the file of a family's client, by its name in the folder that Write fills; empty for Provided.
func (f Family) client() string {
	switch f {
	case Node:
		return "titrate-node.mjs"
	case Python:
		return "titrate_python.py"
	default:
		return ""
	}
}

// Write puts both clients into folder, which it makes where it is missing, readable by every user. Safe to call again and while functions
// start: a file that is already right is left alone, and another is replaced as a whole.
func Write(folder string) error {
	// Functions may run as another user than the node.
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write the runtime clients: %w", err)
	}
	for _, f := range []Family{Node, Python} {
		content, err := clients.ReadFile("clients/" + f.client())
		if err != nil {
			return fmt.Errorf("read the %s runtime client: %w", f, err)
		}
		if err := replace(filepath.Join(folder, f.client()), content); err != nil {
			return fmt.Errorf("write the %s runtime client: %w", f, err)
		}
	}
	return nil
}

func replace(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".client-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // nothing is there any more after the rename
	defer tmp.Close()
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Command is what to execute for an instance of a function whose files are in folder: an interpreter with its client, which Write put into
// clients, or the bootstrap. The environment must hold AWS_LAMBDA_RUNTIME_API, and for an interpreter _HANDLER and LAMBDA_TASK_ROOT.
func (r Runtime) Command(clients, folder string) []string {
	switch r.Family {
	case Node:
		return []string{r.Path, filepath.Join(clients, r.Family.client())}
	case Python:
		// -u: a line that a function printed before it was killed is in the log.
		return []string{r.Path, "-u", filepath.Join(clients, r.Family.client())}
	default:
		return []string{filepath.Join(folder, "bootstrap")}
	}
}
