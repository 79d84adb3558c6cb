package namespaces

import (
	"fmt"
	"os"
	"strings"
)

// appArmorKnob is 1 where only programs with an AppArmor profile make user namespaces.
const appArmorKnob = "kernel.apparmor_restrict_unprivileged_userns"

// AppArmor says what to type where AppArmor keeps this program from making user
// namespaces, as it does all that have no profile on Ubuntu 23.10 and newer; empty: it
// does not, or we are root.
func AppArmor() string {
	v, ok := knob{name: appArmorKnob}.read()
	if !ok || v != "1" || os.Geteuid() == 0 {
		return ""
	}
	b, err := os.ReadFile("/proc/self/attr/apparmor/current") // "titrate (unconfined)", or "unconfined"
	if err == nil && strings.HasPrefix(string(b), "titrate") {
		return ""
	}
	program, err := os.Executable()
	if err != nil {
		program = "/usr/bin/titrate"
	}
	return appArmorHelp(program)
}

func appArmorHelp(program string) string {
	return fmt.Sprintf("echo 'abi <abi/4.0>, include <tunables/global> profile titrate %s flags=(unconfined) { userns, }' | sudo tee /etc/apparmor.d/titrate && sudo apparmor_parser -r /etc/apparmor.d/titrate, then start titrate anew", program)
}
