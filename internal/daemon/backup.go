package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"titrate/internal/backup"
	"titrate/internal/store"
)

// Backup writes the data folder dir into a file while the server goes on. Every says
// how often there is to be one: 0 stops that, and less leaves it as it was.
func Backup(ctx context.Context, dir, file string, logs bool, every time.Duration) (backup.Report, error) {
	f := folder(dir)
	n, err := f.readFormat()
	if err == nil && n == 0 {
		err = fmt.Errorf("error[T0731]: there is no data folder to back up\n  where   %s\n  help    name the one that titrate up uses: --data FOLDER", dir)
	}
	if err == nil {
		err = ours(dir, "backup "+file)
	}
	if err != nil {
		return backup.Report{}, err
	}
	now := time.Now().UTC()
	record, err := backup.ReadRecord(dir)
	if err != nil {
		return backup.Report{}, err
	}
	if every >= 0 && every != record.Every {
		record.Every, record.Since = every, now
		if err := record.Store(dir); err != nil {
			return backup.Report{}, err
		}
	}
	r, err := backup.Write(ctx, backup.Backup{
		Dir: dir, File: file, Header: backup.Header{Folder: n, Version: Version(), Made: now, Logs: logs},
		Database: func(ctx context.Context, to string) error { return store.Snapshot(ctx, f.store(), to) },
	})
	if err != nil {
		return r, err
	}
	record.Last, record.File = now, file
	return r, record.Store(dir)
}

// Restore puts a backup back into the data folder dir, which is empty or not there.
func Restore(ctx context.Context, dir, file string) (backup.Report, error) {
	if err := ours(dir, "restore "+file); err != nil {
		return backup.Report{}, err
	}
	return backup.Read(ctx, backup.Restore{File: file, Dir: dir, Folder: folderFormat})
}

// ours refuses root where the data folder is another user's, who could not use what
// root leaves there.
func ours(dir, command string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() || os.Geteuid() != 0 {
		return nil
	}
	owner := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return fmt.Errorf("error[T0734]: the data folder belongs to %s, who could not use what you leave there\n  where   %s\n  help    sudo -u %s titrate server %s --data %s", owner, dir, owner, command, dir)
}
