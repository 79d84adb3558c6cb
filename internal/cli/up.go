package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"titrate/client"
	"titrate/internal/daemon"
	"titrate/internal/engine"
	"titrate/internal/keeper"
)

// readyIn is how long titrate up waits for the server to answer.
const readyIn = 30 * time.Second

func (s *session) upCommand() *cobra.Command {
	cfg := daemon.UpConfig{StopTime: 45 * time.Second}
	var foreground, replace, check bool
	c := &cobra.Command{
		Use: "up", Short: "server, gateway and git remote on this machine", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.secure(&cfg.HTTPS); err != nil {
				return err
			}
			if err := addresses(cfg); err != nil {
				return err
			}
			if from := s.variable(daemon.EngineVar); from != "" && !cmd.Flags().Changed("engine") {
				cfg.Engine = from
			}
			if from := s.variable(daemon.AccessLogVar); from != "" && !cmd.Flags().Changed("access-log") {
				cfg.Access = from
			}
			if from := s.variable(daemon.ProxiesVar); from != "" && !cmd.Flags().Changed("proxies") {
				cfg.Proxies.At = from
			}
			if s.variable(daemon.ProxyProtocolVar) != "" && !cmd.Flags().Changed("proxy-protocol") {
				cfg.Proxies.Protocol = true
			}
			if _, err := cfg.Proxies.Parse(); err != nil {
				return usage("--proxies: %v\n  help    --proxies 192.0.2.7,10.0.0.0/8 names what stands before the gateway", err)
			}
			if _, err := daemon.ParseAccessLog(cfg.Access); err != nil {
				return usage("--access-log %s: %v\n  help    --access-log 5%% logs one request in twenty", cfg.Access, err)
			}
			if _, err := engine.Seek(cfg.Engine); err != nil {
				return usage("--engine %s: %v\n  help    --engine auto looks in the usual places; --engine none uses none", cfg.Engine, err)
			}
			dir, err := s.dataDir()
			if err != nil {
				return err
			}
			cfg.Dir = dir
			if check {
				return s.checkUp(cmd.Context(), dir)
			}
			if err := cfg.HTTPS.Check(dir); err != nil {
				return err
			}
			if replace {
				return s.replace(cmd.Context(), cfg, foreground)
			}
			return s.up(cmd.Context(), cfg, foreground)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.API, "api", daemon.DefaultAPI, "address of the server")
	f.StringVar(&cfg.Gateway, "gateway", daemon.DefaultGateway, "address of the gateway")
	httpsFlags(f, &cfg.HTTPS)
	f.StringVar(&cfg.Engine, "engine", engine.Auto, "container engine: its `SOCKET`, auto or none; $"+daemon.EngineVar)
	f.StringVar(&cfg.Access, "access-log", "off", "`SHARE` of the requests that logs/access.log has a line for: off, all or 5%; $"+daemon.AccessLogVar)
	f.StringVar(&cfg.Proxies.At, "proxies", "", "`ADDRESSES` and networks of load balancers before the gateway, whose X-Forwarded-* is believed: 192.0.2.7,10.0.0.0/8; $"+daemon.ProxiesVar)
	f.BoolVar(&cfg.Proxies.Protocol, "proxy-protocol", false, "they begin each connection by the PROXY protocol; $"+daemon.ProxyProtocolVar)
	f.BoolVar(&cfg.Network, "network", true, "builds may fetch dependencies from the network; compiling and testing never do by themselves")
	f.BoolVar(&replace, "replace", false, "take over from the titrate that is up, as an upgrade does: no connection is lost")
	f.BoolVar(&check, "check", false, "only say whether this program can take over the data folder; nothing is started or changed")
	f.BoolVar(&foreground, "foreground", false, "stay in the foreground; Ctrl-C takes it down")
	return c
}

func (s *session) up(ctx context.Context, cfg daemon.UpConfig, foreground bool) error {
	if foreground {
		return s.upHere(ctx, cfg)
	}
	return s.upBehind(ctx, cfg)
}

// checkUp says whether this program can take over a data folder.
func (s *session) checkUp(ctx context.Context, dir string) error {
	takes, err := daemon.CanTake(ctx, dir)
	if err != nil {
		return err
	}
	return s.emit(takes, func(w io.Writer) { fmt.Fprintf(w, "titrate %s can take over %s\n", takes.Program, takes.Data) })
}

// replace takes over from the keeper that is up, or has it become this program.
func (s *session) replace(ctx context.Context, cfg daemon.UpConfig, foreground bool) error {
	if _, err := daemon.CanTake(ctx, cfg.Dir); err != nil { // before anything is touched
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	replacing, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	became, err := daemon.Replace(replacing, cfg.Dir, program)
	if err != nil {
		return err
	}
	if became != 0 {
		return s.awaitUp(ctx, cfg.Dir, became, nil, func() string { return "" })
	}
	return s.up(ctx, cfg, foreground)
}

// addresses refuses what nobody can listen on, before anything is started.
func addresses(cfg daemon.UpConfig) error {
	for flag, addr := range map[string]string{"--api": cfg.API, "--gateway": cfg.Gateway, "--https": cfg.HTTPS.Secure, "--http": cfg.HTTPS.Plain} {
		if addr == "" && strings.HasPrefix(flag, "--http") {
			continue
		}
		_, port, err := net.SplitHostPort(addr)
		if n, nerr := strconv.ParseUint(port, 10, 16); err != nil || nerr != nil || n == 0 && port != "0" {
			return usage("%s %s is no address to listen on\n  help    %s 127.0.0.1:7070; port 0 takes a free one", flag, addr, flag)
		}
	}
	if cfg.API == cfg.Gateway && !strings.HasSuffix(cfg.API, ":0") {
		return usage("--api and --gateway are both %s\n  help    name two addresses; port 0 takes a free one", cfg.API)
	}
	return nil
}

// upHere is the keeper itself.
func (s *session) upHere(ctx context.Context, cfg daemon.UpConfig) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cfg.Program, cfg.Args, cfg.Given, cfg.Env, cfg.Output = program, os.Args, s.variable(keeper.GivenVar), s.Env, os.Stderr
	cfg.Log = slog.New(slog.NewTextHandler(s.Err, nil))
	return daemon.Up(ctx, cfg, func(r daemon.Running) {
		fmt.Fprintf(s.Out, "server   %s\ngateway  %s\n", r.API, r.Gateway)
	})
}

// upBehind starts the keeper in the background and waits until it answers.
func (s *session) upBehind(ctx context.Context, cfg daemon.UpConfig) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "logs"), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	_ = daemon.BoundLog(cfg.Dir) // the keeper tries again, and says what is wrong
	logPath := daemon.LogPath(cfg.Dir)
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer log.Close()
	from, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	args := []string{"up", "--foreground", "--data", cfg.Dir, "--api", cfg.API, "--gateway", cfg.Gateway, "--network=" + strconv.FormatBool(cfg.Network), "--engine", cfg.Engine}
	args = append(args, httpsArgs(cfg.HTTPS)...)
	if cfg.Access != "off" { // which programs before this one do not know
		args = append(args, "--access-log", cfg.Access)
	}
	if cfg.Proxies.At != "" {
		args = append(args, "--proxies", cfg.Proxies.At, "--proxy-protocol="+strconv.FormatBool(cfg.Proxies.Protocol))
	}
	// Not bound to ctx: it outlives this command.
	up := exec.Command(program, args...) //nolint:noctx // it is meant to outlive the call
	up.Env, up.Stdout, up.Stderr = s.Env, log, log
	up.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := up.Start(); err != nil {
		return fmt.Errorf("start titrate: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	return s.awaitUp(ctx, cfg.Dir, up.Process.Pid, ended, func() string { return tail(logPath, from) })
}

func (s *session) awaitUp(ctx context.Context, dir string, pid int, ended <-chan error, said func() string) error {
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		server, begun := s.answers(ctx, dir, pid)
		if server != nil {
			return s.emit(server, func(w io.Writer) { s.drawUp(w, *server) })
		}
		text := complaint(said())
		if begun && text != "" { // the keeper is up: it is a child that cannot start
			return fmt.Errorf("%s\n  note    what ran goes on running; the server is tried again until it starts; titrate down stops everything", text)
		}
		select {
		case err := <-ended:
			if text := complaint(said()); text != "" {
				return errors.New(text)
			}
			return fmt.Errorf("titrate ended at once: %v\n%s", err, said()) //nolint:errorlint // an exit status; nobody looks for it
		case <-ctx.Done():
			return fmt.Errorf("the server did not answer in %s\n%s", readyIn, said())
		case <-tick.C:
		}
	}
}

// answers asks the server of the keeper pid what it is. begun says that the keeper
// holds its sockets: from then on a question waits there for the server.
func (s *session) answers(ctx context.Context, dir string, pid int) (server *client.Server, begun bool) {
	r, err := daemon.ReadRunning(dir)
	if err != nil || r.PID != pid {
		return nil, false
	}
	asking := *s
	asking.server, asking.data = r.API, dir
	c, err := asking.connect()
	if err != nil {
		return nil, true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	about, err := c.Server(ctx)
	if err != nil {
		return nil, true
	}
	return &about, true
}

// drawUp says what is up, and once what this machine cannot confine.
func (s *session) drawUp(w io.Writer, server client.Server) {
	fmt.Fprintf(w, "  ✔ server   %s\n  ✔ gateway  %s\n", server.API, server.Gateway)
	if server.HTTPS != "" {
		fmt.Fprintf(w, "  ✔ https    %s\n", server.HTTPS)
	}
	if server.URL != "" {
		fmt.Fprintf(w, "  ✔ from elsewhere: titrate token create NAME here, then titrate login %s there\n", server.URL)
	}
	fmt.Fprintf(w, "    data     %s\n", server.Data)
	if server.Engine != nil && server.Engine.Up {
		fmt.Fprintf(w, "  ✔ engine   %s\n", engineText(server.Engine))
	}
	drawEngine(w, "  ", server.Engine)
	for _, line := range server.Confinement {
		fmt.Fprintf(w, "  ▲ %s\n", line)
	}
	fmt.Fprintln(w, s.typed("\nNext: titrate init in your app's folder; it says what to type then. titrate down stops everything."))
}

// engineText names a container engine.
func engineText(e *client.Engine) string {
	text := strings.TrimSpace(e.Name + " " + e.Version)
	if e.Rootless {
		text += ", rootless"
	}
	return strings.TrimSpace(text + " at " + e.Socket)
}

// drawEngine says so when the container engine does not answer.
func drawEngine(w io.Writer, before string, e *client.Engine) {
	if e != nil && !e.Up {
		fmt.Fprintf(w, "%s▲ the container engine %s does not answer: what runs in it runs on; nothing new can be started or built there\n", before, engineText(e))
	}
}

var complaintForm = regexp.MustCompile(`(?m)^error\[T\d{4}\]: .*(\n  .*)*`)

// complaint is the first error with a code in what a process wrote.
func complaint(said string) string { return complaintForm.FindString(said) }

// tail is what a log says since an offset, at most its last 4 KiB.
func tail(path string, from int64) string {
	b, err := os.ReadFile(path)
	if err != nil || int64(len(b)) < from {
		return ""
	}
	b = b[from:]
	if len(b) > 4096 {
		b = b[len(b)-4096:]
	}
	return strings.TrimSpace(string(b))
}

func (s *session) downCommand() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "drain and stop everything; data stays", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := s.dataDir()
			if err != nil {
				return err
			}
			return s.down(cmd.Context(), dir)
		},
	}
}

func (s *session) down(ctx context.Context, dir string) error {
	keeper, err := daemon.Keeper(dir)
	switch {
	case err != nil:
		return err
	case keeper == nil && !recorded(dir):
		fmt.Fprintln(s.Err, "Nothing is up on", dir)
		return s.emit(downAnswer{dir, false}, nothing)
	case keeper == nil:
		return killed(dir)
	}
	if err := keeper.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ask process %d to end: %w", keeper.Pid, err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for daemon.KeeperLives(dir) {
		select {
		case <-ctx.Done():
			return exit(exitInterrupt)
		case <-tick.C:
		}
	}
	if recorded(dir) { // it takes this away when it ends by itself
		return killed(dir)
	}
	fmt.Fprintln(s.Err, s.typed("Everything is stopped. titrate up starts it again."))
	return s.emit(downAnswer{dir, true}, nothing)
}

// recorded reports whether a keeper has left word of what is up, readable or not.
func recorded(dir string) bool {
	_, err := daemon.ReadRunning(dir)
	return !errors.Is(err, fs.ErrNotExist)
}

func killed(dir string) error {
	return fmt.Errorf("titrate was killed; its server and node run on\n  where   %s\n  help    titrate up takes them over, then titrate down", dir)
}

// downAnswer is what `titrate down` did.
type downAnswer struct {
	Data    string `json:"data"`
	Stopped bool   `json:"stopped"`
}

func (s *session) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "of this program, and of the server", Args: between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Program string         `json:"program"`
				Server  *client.Server `json:"server,omitempty"`
			}{Program: daemon.Version()}
			c, err := s.connect()
			if err == nil {
				c.Patience = 2 * time.Second
				var server client.Server
				if server, err = c.Server(cmd.Context()); err == nil {
					v.Server = &server
				}
			}
			if err != nil { // what this program is can be told all the same
				fmt.Fprintln(s.Err, s.typed(sentence(err)))
			}
			if s.forPrograms() {
				return s.emitLine(v)
			}
			fmt.Fprintln(s.Out, "titrate", v.Program)
			if v.Server != nil {
				fmt.Fprintln(s.Out, "server ", v.Server.Version, v.Server.API)
			}
			return nil
		},
	}
}
