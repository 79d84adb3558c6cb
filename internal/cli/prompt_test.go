package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudoterminal: where a person types and reads, and what the
// command line has for it.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudoterminals here: ", err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn() // Fd would make reads that no deadline ends
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if cerr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// TestPrompt_theFirstCtrlCEndsIt: the signal ends the context of the call, and the
// read that waits for a person must not outlast it.
func TestPrompt_theFirstCtrlCEndsIt(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"init"}, {"secret", "set", "KEY", "-a", "tiny", "-e", "production"}} {
		person, program := terminal(t)
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/titrate.go", []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/go.mod", []byte("module tiny\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		ended := make(chan int, 1)
		env := append(tiny(t), "PATH="+os.Getenv("PATH"))
		go func() {
			ended <- Main(ctx, args, Terminal{In: program, Out: program, Err: program, Dir: dir, Env: env})
		}()
		said := ""
		for buf := make([]byte, 4096); !strings.Contains(said, "[Y/n] ") && !strings.Contains(said, "value of KEY: "); {
			if err := person.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := person.Read(buf)
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, said)
			}
			said += string(buf[:n])
		}
		interrupt()
		select {
		case code := <-ended:
			if code != exitInterrupt {
				t.Errorf("%v: exit code %d", args, code)
			}
		case <-time.After(time.Minute):
			t.Errorf("%v: it waits on", args)
		}
		if state, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS); err != nil || state.Lflag&unix.ECHO == 0 {
			t.Errorf("%v: the terminal does not echo any more (%v)", args, err)
		}
	}
}

// TestInit_asksOnceWhichFileIsMeant, and then whether to write what it has shown.
func TestInit_asksOnceWhichFileIsMeant(t *testing.T) {
	t.Parallel()
	person, program := terminal(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"compose.yaml": "services: { web: { image: nginx, ports: ['80:80'] } }\n",
		"fly.toml":     "app = 'flown'\n[http_service]\ninternal_port = 3000\n",
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan int, 1)
	env := append(tiny(t), "PATH="+os.Getenv("PATH"))
	go func() {
		ended <- Main(t.Context(), []string{"init"}, Terminal{In: program, Out: program, Err: program, Dir: dir, Env: env})
	}()
	said := ""
	until := func(question string) {
		t.Helper()
		for buf := make([]byte, 4096); !strings.Contains(said, question); {
			if err := person.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := person.Read(buf)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			said += string(buf[:n])
		}
	}
	until("Which one? [1] ")
	if _, err := person.WriteString("2\n"); err != nil {
		t.Fatal(err)
	}
	until("[Y/n] ")
	if strings.Count(said, "Which one?") != 1 || !strings.Contains(said, "app: flown") {
		t.Errorf("it does not show what was chosen:\n%s", said)
	}
	if _, err := os.Stat(dir + "/titrate.yaml"); err == nil {
		t.Error("it was written before the answer")
	}
	if _, err := person.WriteString("n\n"); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(dir + "/titrate.yaml"); err == nil {
		t.Error("it was written against the answer")
	}
}
