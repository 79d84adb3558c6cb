package namespaces

import (
	"errors"
	"os"
)

// Enter runs this program once more as args (with its name), among the users that
// containers have where we are not root: there it may read and make the files of them all,
// by the numbers that they have within. The command is that of [New]. It returns the
// exit status; done is false where there are no other users, and then nothing ran.
func Enter(args, command []string) (status int, done bool, err error) {
	d, lack := delegation()
	if lack != nil || os.Geteuid() == 0 {
		return 0, false, nil //nolint:nilerr // then there is nothing to enter
	}
	dir, err := os.Getwd()
	if err != nil {
		return 0, false, err
	}
	ws, err := errand(command, 0, d.around(identity{}), inner{Exec: args, Spec: Spec{Env: os.Environ(), WorkDir: dir}})
	if _, refused := errors.AsType[*mapError](err); refused {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if ws.Signaled() {
		return 128 + int(ws.Signal()), true, nil
	}
	return ws.ExitStatus(), true, nil
}
