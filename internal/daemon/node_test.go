package daemon

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"titrate/internal/gateway"
	"titrate/internal/keeper"
	"titrate/internal/node"
)

func TestNode_endsWhenItsGatewayCannotAcceptAnyMore(t *testing.T) {
	t.Parallel()
	dir := dataFolder(t)
	var lc net.ListenConfig
	public, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	internal, err := gateway.ListenInternal(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer internal.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var said strings.Builder
	c := exec.CommandContext(ctx, os.Args[0], "__node", string(dir))
	c.Env = append(os.Environ(), keeper.SocketsVar+"="+socketGateway+","+socketInternal)
	c.ExtraFiles = []*os.File{file(t, public), file(t, internal)}
	c.Stdout = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := dir.nodeToken()
	if err != nil {
		t.Fatal(err)
	}
	answers(t, node.NewClient(dir.nodeSocket(), token))
	// From now on accept(2) fails, as it may for want of memory.
	if err := unix.Shutdown(int(c.ExtraFiles[1].Fd()), unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // it is killed when the time is over
	if ctx.Err() != nil || !strings.Contains(said.String(), "gateway: accept") {
		t.Errorf("it lives on and serves nothing, or said %q", said.String())
	}
}

func file(t *testing.T, l net.Listener) *os.File {
	t.Helper()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
