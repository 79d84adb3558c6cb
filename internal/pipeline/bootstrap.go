package pipeline

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// processors are those of Go's names, as ELF headers have them.
var processors = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// bootstrapFault says why the program named bootstrap in a folder cannot be run on this
// machine: nil, it can. See "Building a custom runtime for AWS Lambda".
func bootstrapFault(w Workload, folder string) error {
	name := filepath.Join(folder, "bootstrap")
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault(w, CodeBootstrap, StepKeep, "there is no file named bootstrap", "build a program of that name at the top of the function's folder: it is what a provided runtime starts")
	case err != nil:
		return fault(w, CodeBootstrap, StepKeep, "bootstrap cannot be read: "+err.Error(), "")
	case !info.Mode().IsRegular():
		return fault(w, CodeBootstrap, StepKeep, "bootstrap is no file", "build a program of that name at the top of the function's folder")
	case info.Mode()&0o111 == 0:
		return fault(w, CodeBootstrap, StepKeep, "bootstrap is not executable", "one of: chmod +x bootstrap; git update-index --chmod=+x bootstrap, commit, push again\nof a zip: chmod +x bootstrap, and pack it anew with a tool that keeps modes (zip, bsdtar)")
	}
	f, err := os.Open(name)
	if err != nil {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap cannot be read: "+err.Error(), "")
	}
	defer f.Close()
	start := make([]byte, 20)
	n, err := io.ReadFull(f, start)
	if n >= 2 && string(start[:2]) == "#!" {
		return interpreterFault(w, name)
	}
	machine, ok := processorOf(start)
	if err != nil || !ok {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap is neither a program of Linux nor a script", "build it with GOOS=linux, or for the target "+target64()+"; a script begins with #!/bin/sh")
	}
	if want, known := processors[runtime.GOARCH]; known && machine != want {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap is for another processor: "+machine.String()+", and this machine is "+runtime.GOARCH, "build it with GOARCH="+runtime.GOARCH+", or for the target "+target64())
	}
	return nil
}

// interpreterFault says why a script's interpreter cannot be started; see execve(2).
func interpreterFault(w Workload, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap cannot be read: "+err.Error(), "")
	}
	defer f.Close()
	line, _, _ := strings.Cut(headOf(f), "\n")
	if strings.HasSuffix(line, "\r") {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap has the line ends of Windows, so that its interpreter is not found", "save it with line ends of Unix: sed -i 's/\\r$//' bootstrap")
	}
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(words) == 0 {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap names no interpreter", "a script begins with #!/bin/sh")
	}
	if _, err := os.Stat(words[0]); filepath.IsAbs(words[0]) && errors.Is(err, fs.ErrNotExist) {
		return fault(w, CodeBootstrap, StepKeep, "bootstrap is run by "+words[0]+", which is not on this machine", "install it, or begin the script with an interpreter that is here: #!/bin/sh")
	}
	return nil
}

// headOf is the first line of a script, and perhaps more.
func headOf(f io.Reader) string {
	head := make([]byte, 256)    // the most that Linux reads of it
	n, _ := io.ReadFull(f, head) // a shorter script is whole
	return string(head[:n])
}

// processorOf reads the processor of a program in the format of Linux from its first 20
// bytes; see elf(5).
func processorOf(start []byte) (elf.Machine, bool) {
	if string(start[:4]) != elf.ELFMAG {
		return 0, false
	}
	switch elf.Data(start[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		return elf.Machine(binary.LittleEndian.Uint16(start[18:])), true
	case elf.ELFDATA2MSB:
		return elf.Machine(binary.BigEndian.Uint16(start[18:])), true
	default:
		return 0, false
	}
}

// target64 is this machine as most compilers but Go's name it.
func target64() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64-unknown-linux-gnu"
	case "arm64":
		return "aarch64-unknown-linux-gnu"
	}
	return runtime.GOARCH + " linux"
}
