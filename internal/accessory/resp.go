package accessory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// mostReply bounds an answer of Redis.
const mostReply = 1 << 20

// askRedis signs in, sends one command, and returns its answer, which is a line or a
// bulk: https://redis.io/docs/latest/develop/reference/protocol-spec/
func askRedis(ctx context.Context, p Place, args ...string) (string, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr())
	if err != nil {
		return "", err
	}
	defer c.Close()
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(5 * time.Second)
	}
	_ = c.SetDeadline(end)
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(c, resp("AUTH", p.Password)+resp(args...)); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	if _, err := reply(r); err != nil {
		return "", err
	}
	return reply(r)
}

func resp(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("it answers nothing")
	}
	switch rest := line[1:]; line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", fmt.Errorf("it answers %.200q", rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 || n > mostReply {
			return "", fmt.Errorf("it answers %.100q", line)
		}
		b := make([]byte, n+2) // with the end of the line
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		return string(b[:n]), nil
	}
	return "", fmt.Errorf("it answers %.100q", line)
}
