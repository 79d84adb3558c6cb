package accessory

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Twin is a kind whose data is copied as a file, and tried by a second server that is
// started on the copy.
type Twin interface {
	Kind
	// DumpTo returns the command that writes the data, as it is at one moment, to a file.
	DumpTo(p Place, into string) (Command, error)
	// Copy is where the second server of a place reads what DumpTo wrote.
	Copy(p Place) string
	// Second returns the command that serves the copy, at a place of its own.
	Second(p Place) (Command, error)
	// Held counts what the server of a place holds, once it has read it all.
	Held(ctx context.Context, p Place) (Counted, error)
	// Settle has a second server write its data down in the way in which Serve keeps it.
	Settle(ctx context.Context, p Place) error
}

// DumpTo takes the snapshot that Redis sends to a replica: of one moment, with a checksum.
func (redis) DumpTo(p Place, into string) (Command, error) {
	program, err := redisProgram(p, "redis-cli")
	if err != nil {
		return Command{}, err
	}
	return Command{
		Dir: p.Dir, Env: []string{"REDISCLI_AUTH=" + p.Password},
		Argv: []string{program, "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "--rdb", into},
	}, nil
}

func (redis) Copy(p Place) string { return filepath.Join(p.Data(), "dump.rdb") }

func (redis) Second(p Place) (Command, error) {
	return redisServer(p, "appendonly no\nsave \"\"\ndbfilename dump.rdb\n")
}

// redisLook is the time between two questions to a server that is busy.
const redisLook = 20 * time.Millisecond

// untilRedis asks again and again for a section of INFO, until done is content with it.
// A server that still reads its data answers an error.
func untilRedis(ctx context.Context, p Place, section string, done func(info map[string]string) (bool, error)) error {
	for {
		text, err := askRedis(ctx, p, "INFO", section)
		if err == nil {
			info := map[string]string{}
			for line := range strings.SplitSeq(text, "\r\n") {
				if name, value, ok := strings.Cut(line, ":"); ok {
					info[name] = value
				}
			}
			if ok, err := done(info); ok || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(redisLook):
		}
	}
}

func (redis) Held(ctx context.Context, p Place) (Counted, error) {
	err := untilRedis(ctx, p, "persistence", func(info map[string]string) (bool, error) { return info["loading"] == "0", nil })
	if err != nil {
		return Counted{}, err
	}
	var out Counted
	err = untilRedis(ctx, p, "keyspace", func(info map[string]string) (bool, error) {
		out = Counted{}
		for name, value := range info { // db0:keys=2,expires=1,avg_ttl=0
			var keys, expires int64
			if _, err := fmt.Sscanf(value, "keys=%d,expires=%d", &keys, &expires); err != nil {
				return false, fmt.Errorf("it says of %s: %.100q", name, value)
			}
			out.Tables++
			out.Rows += keys
			out.Passing += expires
		}
		return true, nil
	})
	return out, err
}

// Settle turns the log of appended commands on, which Redis writes whole then.
func (redis) Settle(ctx context.Context, p Place) error {
	if _, err := askRedis(ctx, p, "CONFIG", "SET", "appendonly", "yes"); err != nil {
		return fmt.Errorf("have the copy written down: %w", err)
	}
	return untilRedis(ctx, p, "persistence", func(info map[string]string) (bool, error) {
		if info["aof_last_bgrewrite_status"] != "ok" || info["aof_last_write_status"] != "ok" {
			return false, errors.New("the copy could not be written down: its log says why")
		}
		return info["aof_enabled"] == "1" && info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0", nil
	})
}
