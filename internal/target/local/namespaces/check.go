package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"titrate/internal/target/local/shim"
)

// CheckRedirects tries whether connections of a program can be led elsewhere, see
// [shim.Network]: the kernel needs nf_tables for it. The command is that of [New].
func CheckRedirects(command []string) error {
	all, err := mappings(identity{}, 0)
	if err != nil {
		return err
	}
	_, err = errand(command, syscall.CLONE_NEWNET, all[len(all)-1], inner{Try: true})
	return err
}

// Check tries whether containers can be had: all but the program. An [Error] says what
// the machine lacks. It needs a folder on the disk on which they will be, and leaves
// nothing there. The command is that of [New].
func Check(ctx context.Context, under string, command []string) error {
	dir, err := os.MkdirTemp(under, ".check-")
	if err != nil {
		return fmt.Errorf("try namespaces: %w", err)
	}
	defer Remove(dir, command) //nolint:errcheck // an empty folder or two
	root := filepath.Join(dir, "empty")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("try namespaces: %w", err)
	}
	made := errors.New("made")
	err = New(Spec{Name: "check", Root: root, Dir: filepath.Join(dir, "layer")}, command).Start(ctx, func(shim.Network) error { return made })
	if errors.Is(err, made) {
		return nil
	}
	return err
}
