package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"titrate/internal/keeper"
)

// letGoSignal asks a keeper to end and leave everything running; becomeSignal to
// become the program that is on the disk now.
const (
	letGoSignal  = syscall.SIGUSR1
	becomeSignal = syscall.SIGUSR2
)

// refusesIn is how long the program on the disk may take to say whether it can take
// over.
const refusesIn = 20 * time.Second

// upgrade has k become the program that is on the disk when it is asked to, until
// ctx ends. A program that cannot take over is left alone.
func upgrade(ctx context.Context, k *keeper.Keeper, cfg UpConfig) error {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, becomeSignal)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-asked:
		}
		asking, cancel := context.WithTimeout(ctx, refusesIn)
		err := k.Ask(asking, "up", "--check", "--data", cfg.Dir)
		cancel()
		if err == nil && ctx.Err() == nil {
			tellReloading()
			err = k.Become(cfg.Args, withoutSockets(cfg.Env))
			tellManager("READY=1")
		}
		if ctx.Err() == nil {
			cfg.Log.Error("the program on the disk does not take over; this one goes on", slog.Any("error", err))
		}
	}
}

// Replace makes room for program on the data folder dir: an upgrade or a downgrade
// without a connection lost. The keeper lets go, so that the next one takes server
// and node over from it, and 0 is returned when the folder is free; where no keeper
// lives there is nothing to do. One that a service manager watches becomes the
// program in its own process instead, whose number is returned when it has.
func Replace(ctx context.Context, dir, program string) (became int, err error) {
	k, err := Keeper(dir)
	if err != nil || k == nil {
		return 0, err
	}
	r, err := ReadRunning(dir)
	supervised := err == nil && r.PID == k.Pid && r.Supervised
	if supervised && r.Program != program {
		return 0, &OtherProgramError{Dir: dir, Has: r.Program, Program: program}
	}
	ask, done := letGoSignal, func() bool { return !KeeperLives(dir) }
	if supervised {
		ask, became = becomeSignal, k.Pid
		done = func() bool {
			now, err := ReadRunning(dir)
			return err == nil && !now.Started.Equal(r.Started)
		}
	}
	if err := k.Signal(ask); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, fmt.Errorf("ask process %d to let go: %w", k.Pid, err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("process %d does not let go: %w; its log says why", k.Pid, ctx.Err())
		case <-tick.C:
		}
	}
	return became, nil
}

// OtherProgramError says that a service manager runs another program on a data folder.
type OtherProgramError struct{ Dir, Has, Program string }

// Error says what to type instead.
func (e *OtherProgramError) Error() string {
	return fmt.Sprintf("error[T0730]: a service manager runs another titrate on this data folder, and would start that one again\n  where   %s is run by %s\n  help    install -m 755 %s %s, then %s up --replace --data %s", e.Dir, e.Has, e.Program, e.Has, e.Has, e.Dir)
}
