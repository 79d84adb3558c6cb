package namespaces

import "os"

// Alone says why a program has one user only, and what to type; nil: it has others
// too, which it can become.
func Alone() error {
	if os.Geteuid() == 0 {
		return nil
	}
	_, err := delegation()
	return err
}
