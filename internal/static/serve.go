package static

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the body of "titrate __static [--fallback FILE]": it serves the working
// folder at a port of loopback until it is told to end. It returns the exit code.
func Main(args []string, port string, stderr io.Writer) int {
	flags := flag.NewFlagSet("__static", flag.ContinueOnError)
	flags.SetOutput(stderr)
	fallback := flags.String("fallback", "", "the file that answers for paths which name none")
	if flags.Parse(args) != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := Serve(ctx, ".", net.JoinHostPort("127.0.0.1", port), *fallback); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// Serve serves the folder dir at an address until ctx ends, and lets requests under
// way finish. Links that lead out of dir are not followed.
func Serve(ctx context.Context, dir, addr, fallback string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("serve a site: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve a site: %w", err)
	}
	s := &http.Server{Handler: Handler(root.FS(), fallback), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		ended <- s.Shutdown(bounded)
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve a site: %w", err)
	}
	return <-ended
}
