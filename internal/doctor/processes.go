package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"titrate/client"
	"titrate/internal/daemon"
	"titrate/internal/procfs"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take to answer.
const patience = 3 * time.Second

// processes looks who is alive: keeper, server and node, and of which version.
func (p *patient) processes(ctx context.Context) {
	if p.gone {
		return
	}
	keeper, err := daemon.Keeper(p.Dir)
	if err != nil {
		p.note(reported("keeper", err, p.Dir))
		return
	}
	r, recorded := daemon.ReadRunning(p.Dir)
	p.orphans(keeper)
	switch {
	case recorded != nil && !errors.Is(recorded, fs.ErrNotExist):
		p.note(reported("keeper", recorded, p.Dir))
		return
	case keeper == nil && recorded == nil:
		p.note(Finding{Check: "keeper", Level: Fault, What: "titrate was killed", Where: fmt.Sprintf("process %d, of version %s", r.PID, r.Version), Why: "traffic may flow on, but nothing that dies is started again", Help: "titrate up takes over what runs on; dmesg | grep -i kill may say who ended it"})
		return
	case keeper == nil:
		p.note(Finding{Check: "keeper", Level: Info, What: "titrate is not up", Where: p.Dir, Help: "titrate up; under systemd: systemctl start titrate"})
		return
	}
	p.note(Finding{Check: "keeper", Level: OK, What: "the keeper lives", Where: fmt.Sprintf("process %d since %s", keeper.Pid, r.Started.Local().Format(time.DateTime))})
	if r.Started.After(p.Now().Add(time.Minute)) {
		p.note(Finding{Check: "clock", Level: Fault, What: "the clock has gone back: titrate was started in the future, at " + r.Started.Local().Format(time.DateTime), Where: p.Dir, Why: "waits and retentions count wrong times", Help: "timedatectl; set the clock, then titrate up --replace"})
	}
	p.server(ctx, r)
}

func (p *patient) server(ctx context.Context, r daemon.Running) {
	token, err := daemon.Token(p.Dir)
	if err != nil {
		p.note(reported("server", err, p.Dir))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	log := "tail " + daemon.LogPath(p.Dir)
	if r.Supervised {
		log = "journalctl -u titrate -n 50"
	}
	about, err := (&client.Client{URL: r.API, Token: token}).Server(ctx)
	if err != nil {
		p.note(Finding{Check: "server", Level: Fault, What: "the server does not answer: " + firstLine(err), Where: r.API, Why: "traffic flows on at the last weights; no rollout moves", Help: log + " says why it does not start"})
		return
	}
	if about.Node != "up" {
		p.note(Finding{Check: "node", Level: Fault, What: "the node does not answer the server", Where: filepath.Join(p.Dir, "node"), Why: "no process of an app is started or replaced", Help: log + " says why it does not start"})
	} else {
		p.note(Finding{Check: "server", Level: OK, What: "server and node answer", Where: r.API})
	}
	if about.Version != p.version || r.Version != p.version {
		p.note(Finding{
			Check: "version", Level: Warn, What: fmt.Sprintf("this program is %s, the server %s, the keeper %s", p.version, about.Version, r.Version),
			Where: r.Program, Why: "what you type may not be what the server knows", Help: "titrate up --replace has this program take over; no connection is lost",
		})
	}
	for _, line := range about.Confinement {
		p.note(Finding{Check: "confinement", Level: Warn, What: line})
	}
	p.gateway(ctx, r)
}

// gateway looks whether anything answers there: a status of any kind is an answer.
func (p *patient) gateway(ctx context.Context, r daemon.Running) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, r.Gateway, nil)
	if err != nil {
		p.note(Finding{Check: "gateway", Level: Fault, What: err.Error(), Where: r.Gateway})
		return
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.note(Finding{Check: "gateway", Level: Fault, What: "the gateway does not answer: " + firstLine(err), Where: r.Gateway, Why: "no app is reached", Help: "titrate up --replace starts it anew"})
		return
	}
	defer resp.Body.Close()
	p.note(Finding{Check: "gateway", Level: OK, What: "the gateway answers", Where: r.Gateway})
}

// orphans are processes of this folder that no keeper looks after.
func (p *patient) orphans(keeper *os.Process) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := bytes.Split(line, []byte{0})
		if len(args) < 4 || string(args[1]) != "__server" && string(args[1]) != "__node" || string(args[3]) != p.Dir {
			continue
		}
		const parentField, first = 4, 3 // of /proc/PID/stat, proc(5)
		stat, err := procfs.Stat(pid)
		if err != nil || keeper != nil && stat[parentField-first] == strconv.Itoa(keeper.Pid) {
			continue
		}
		name := strings.TrimPrefix(string(args[1]), "__")
		p.note(Finding{Check: "orphans", Level: Warn, What: "a " + name + " runs that no keeper looks after", Where: fmt.Sprintf("process %d", pid), Why: "it is not started again when it ends", Help: "titrate up takes it over"})
	}
}

// addresses looks whether titrate could listen, where nothing is up.
func (p *patient) addresses(ctx context.Context) {
	if !p.gone && daemon.KeeperLives(p.Dir) {
		return
	}
	for name, addr := range map[string]string{"api": p.API, "gateway": p.Gateway} {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		_, port, _ := net.SplitHostPort(addr)
		switch {
		case err == nil:
			l.Close()
			p.note(Finding{Check: "port", Level: OK, What: "the address of the " + name + " is free", Where: addr})
		case errors.Is(err, syscall.EADDRINUSE):
			p.note(Finding{Check: "port", Level: Fault, What: "another program listens at the address of the " + name, Where: addr, Why: "titrate up is refused", Help: "ss -ltnp 'sport = :" + port + "' names it; or titrate up --" + name + " ANOTHER_ADDRESS"})
		case errors.Is(err, syscall.EACCES):
			p.note(Finding{Check: "port", Level: Fault, What: "this user may not listen there", Where: addr, Why: "ports below 1024 are for root", Help: "sysctl net.ipv4.ip_unprivileged_port_start=80, or have systemd listen: titrate-gateway.socket"})
		default:
			p.note(Finding{Check: "port", Level: Fault, What: "nobody can listen there: " + err.Error(), Where: addr, Help: "ip address lists this machine's addresses"})
		}
	}
}

// built is before any build of this program: a clock that says otherwise is wrong.
var built = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *patient) clock(context.Context) {
	if p.Now().Before(built) {
		p.note(Finding{Check: "clock", Level: Fault, What: "this machine thinks that it is " + p.Now().Format(time.DateOnly), Why: "certificates are refused, and waits count wrong times", Help: "timedatectl set-ntp true"})
		return
	}
	if !p.Kept() {
		p.note(Finding{Check: "clock", Level: Info, What: "nothing keeps this machine's clock right: it thinks that it is " + p.Now().Local().Format(time.DateTime), Why: "when it is off, certificates, tokens and sign-in links are refused too early or too late, and backups are made at other times", Help: "timedatectl set-ntp true, or apt install systemd-timesyncd"})
	}
}

// kernelKeeps reports whether the kernel was told by a time server how its clock stands.
func kernelKeeps() bool {
	state, err := unix.Adjtimex(&unix.Timex{})
	return err != nil || state != unix.TIME_ERROR
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
