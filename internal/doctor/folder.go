package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"titrate/internal/backup"
	"titrate/internal/daemon"
	"titrate/internal/store"
)

// folder looks whether the data folder is there, ours, and nobody else's.
func (p *patient) folder(context.Context) {
	info, err := os.Stat(p.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.gone = true
		p.note(Finding{Check: "folder", Level: Info, What: "there is no data folder yet", Where: p.Dir, Help: "titrate up makes it; or name another one: --data FOLDER, TITRATE_DATA"})
		return
	case err != nil:
		p.gone = true
		p.note(Finding{Check: "folder", Level: Fault, What: "the data folder cannot be looked at: " + err.Error(), Where: p.Dir, Help: "run this as the user whose folder it is, or name another one with --data"})
		return
	case !info.IsDir():
		p.gone = true
		p.note(Finding{Check: "folder", Level: Fault, What: "it is no folder", Where: p.Dir, Help: "name a folder: --data FOLDER"})
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		owner := strconv.Itoa(int(st.Uid))
		if u, err := user.LookupId(owner); err == nil {
			owner = u.Username
		}
		p.note(Finding{
			Check: "folder", Level: Warn, What: "it belongs to " + owner + ", and you are another user", Where: p.Dir,
			Why: "what you start here would leave files that " + owner + " cannot change", Help: "sudo -u " + owner + " titrate server doctor --data " + p.Dir,
		})
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		p.note(Finding{
			Check: "folder", Level: Fault, What: fmt.Sprintf("other users may enter the data folder: mode %04o", mode), Where: p.Dir,
			Why: "tokens, secrets and sources are in it", Help: "chmod 700 " + p.Dir,
		})
		return
	}
	probe, err := os.CreateTemp(p.Dir, ".doctor-")
	if err != nil {
		p.note(Finding{Check: "folder", Level: Fault, What: "nothing can be written: " + err.Error(), Where: p.Dir, Why: "no decision can be stored", Help: "mount | grep ' ro,'; df -h " + p.Dir + "; ls -ld " + p.Dir})
		return
	}
	defer os.Remove(probe.Name())
	_, err = probe.WriteString("doctor")
	if err = errors.Join(err, probe.Sync(), probe.Close()); err != nil {
		p.note(Finding{Check: "folder", Level: Fault, What: "nothing can be written: " + err.Error(), Where: p.Dir, Why: "no decision can be stored", Help: "df -h " + p.Dir + "; df -i " + p.Dir})
		return
	}
	if info, err := os.Stat(probe.Name()); err == nil {
		if off := info.ModTime().Sub(p.Now()).Abs(); off > time.Minute {
			p.note(Finding{
				Check: "clock", Level: Warn, What: fmt.Sprintf("the file system's clock and this machine's differ by %s", off.Round(time.Second)), Where: p.Dir,
				Why: "what is kept for a time is removed too early or too late", Help: "set both clocks: timedatectl set-ntp true",
			})
		}
	}
	p.note(Finding{Check: "folder", Level: OK, What: "the data folder can be written, by its user only", Where: p.Dir})
}

// secrets looks at what must be nobody else's to read.
func (p *patient) secrets(context.Context) {
	if p.gone {
		return
	}
	bad := false
	_ = filepath.WalkDir(filepath.Join(p.Dir, "keys"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // what is not there cannot be read by others
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		switch {
		case info.Mode().Perm()&0o077 != 0:
			bad = true
			p.note(Finding{Check: "keys", Level: Fault, What: fmt.Sprintf("others can read a key: mode %04o", info.Mode().Perm()), Where: path, Why: "titrate does not start with it", Help: "if nobody has: chmod 600 " + path + "; else: titrate explain T0705"})
		case info.Size() == 0:
			bad = true
			p.note(Finding{Check: "keys", Level: Fault, What: "a key is empty", Where: path, Why: "titrate does not start with it", Help: "rm " + path + ", then titrate up --replace makes a new one"})
		}
		return nil
	})
	if _, err := os.Stat(daemon.TokenPath(p.Dir)); err == nil && !bad {
		p.note(Finding{Check: "keys", Level: OK, What: "tokens and keys are there, and for their user only", Where: filepath.Join(p.Dir, "keys")})
	}
}

// backups looks when the last one was made, where somebody has said how often one is to be.
func (p *patient) backups(context.Context) {
	r, err := backup.ReadRecord(p.Dir)
	if err != nil {
		p.note(Finding{Check: "backup", Level: Warn, What: err.Error(), Where: filepath.Join(p.Dir, "backup.json"), Help: "titrate server backup FILE --every 24h writes it anew, once you have removed it"})
		return
	}
	if r.Every == 0 {
		return // nobody asked
	}
	help := fmt.Sprintf("titrate server backup FILE; what runs it every %s? journalctl, systemctl list-timers; --every 0 stops this", r.Every)
	since, late := r.Due(p.Now())
	switch ago := p.Now().Sub(since).Round(time.Minute); {
	case late && r.Last.IsZero():
		p.note(Finding{Check: "backup", Level: Warn, What: fmt.Sprintf("there is no backup, and one every %s is asked for since %s", r.Every, ago), Where: p.Dir, Why: "a disk that is lost takes everything along", Help: help})
	case late:
		p.note(Finding{Check: "backup", Level: Warn, What: fmt.Sprintf("the last backup is %s old, and one every %s is asked for", ago, r.Every), Where: r.File, Why: "a disk that is lost takes along what was done since", Help: help})
	case !r.Last.IsZero():
		p.note(Finding{Check: "backup", Level: OK, What: fmt.Sprintf("the last backup is %s old", ago), Where: r.File})
	}
}

// The free space from which on it is too little, and nearly.
const (
	spaceFault = 64 << 20
	spaceWarn  = 1 << 30
)

func (p *patient) space(context.Context) {
	dir := p.Dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		p.note(Finding{Check: "space", Level: Warn, What: "free space cannot be told: " + err.Error(), Where: dir})
		return
	}
	free := st.Bavail * uint64(st.Bsize)
	f := Finding{Check: "space", Level: OK, What: size(free) + " are free", Where: p.Dir}
	switch {
	case free < spaceFault:
		f.Level = Fault
	case free < spaceWarn:
		f.Level = Warn
	case st.Files > 0 && st.Ffree*100 < st.Files:
		f.Level, f.What = Warn, "nearly no file can be made any more: under 1 % of inodes are free"
	}
	if f.Level != OK {
		f.Why, f.Help = "builds fail first; rollbacks can be stored to the last, from a reserve", "du -xh "+p.Dir+" | sort -h | tail; the largest parts are below"
	}
	p.note(f)
}

func (p *patient) format(ctx context.Context) {
	if p.gone {
		return
	}
	t, err := daemon.CanTake(ctx, p.Dir)
	if err != nil {
		p.note(reported("format", err, p.Dir))
		return
	}
	if t.Format > 0 {
		p.note(Finding{Check: "format", Level: OK, What: fmt.Sprintf("this program knows what is stored: folder %d, database %d", t.Format, t.Database.Number), Where: p.Dir})
	}
}

func (p *patient) database(ctx context.Context) {
	path := filepath.Join(p.Dir, "server", "titrate.db")
	if _, err := os.Stat(path); p.gone || err != nil {
		return // format says what is wrong with that
	}
	if err := store.Verify(ctx, filepath.Join(p.Dir, "server")); err != nil {
		p.note(reported("database", err, path))
		return
	}
	p.note(Finding{Check: "database", Level: OK, What: "every page of the database is whole", Where: path})
}

// certificates looks at every certificate below the data folder.
func (p *patient) certificates(context.Context) {
	good := 0
	_ = filepath.WalkDir(filepath.Join(p.Dir, "certs"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || filepath.Ext(path) != ".crt" && filepath.Ext(path) != ".pem" {
			return nil //nolint:nilerr // there are none
		}
		text, err := os.ReadFile(path)
		if err != nil {
			p.note(Finding{Check: "certificates", Level: Fault, What: "a certificate cannot be read: " + err.Error(), Where: path})
			return nil //nolint:nilerr // it is a finding
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			p.note(Finding{Check: "certificates", Level: Fault, What: "a certificate is damaged: " + err.Error(), Where: path})
			return nil //nolint:nilerr // it is a finding
		}
		left := c.NotAfter.Sub(p.Now())
		f := Finding{Check: "certificates", Where: path, Help: "renew it; the log says why that has not happened: titrate.log in " + filepath.Join(p.Dir, "logs")}
		names := strings.Join(c.DNSNames, ", ")
		switch {
		case left < 0:
			f.Level, f.What, f.Why = Fault, fmt.Sprintf("the certificate of %s has ended on %s", names, c.NotAfter.Format(time.DateOnly)), "browsers refuse the site"
		case p.Now().Before(c.NotBefore):
			f.Level, f.What, f.Why = Fault, fmt.Sprintf("the certificate of %s begins on %s", names, c.NotBefore.Format(time.DateOnly)), "browsers refuse the site; or this machine's clock is wrong"
		case left < 14*24*time.Hour && left < c.NotAfter.Sub(c.NotBefore)/4:
			f.Level, f.What, f.Why = Warn, fmt.Sprintf("the certificate of %s ends on %s", names, c.NotAfter.Format(time.DateOnly)), "it should have been renewed by now"
		default:
			good++
			return nil
		}
		p.note(f)
		return nil
	})
	if good > 0 {
		p.note(Finding{Check: "certificates", Level: OK, What: fmt.Sprintf("%d certificates are good", good), Where: filepath.Join(p.Dir, "certs")})
	}
}

// disk says what takes room.
func (p *patient) disk(context.Context) {
	if p.gone {
		return
	}
	var parts []string
	for _, part := range []string{"artifacts", "builds", "logs", "git", "server", "images"} {
		var sum uint64
		_ = filepath.WalkDir(filepath.Join(p.Dir, part), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if info, err := e.Info(); err == nil {
					sum += uint64(info.Size())
				}
			}
			return nil
		})
		if sum > 0 {
			parts = append(parts, part+" "+size(sum))
		}
	}
	if len(parts) > 0 {
		p.note(Finding{Check: "disk", Level: Info, What: strings.Join(parts, ", "), Where: p.Dir})
	}
}

// reported is an error that says what, where and what to type in itself.
func reported(check string, err error, where string) Finding {
	f := Finding{Check: check, Level: Fault, Where: where}
	for i, line := range strings.Split(err.Error(), "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch rest = strings.TrimSpace(rest); {
		case i == 0:
			f.What = line
		case word == "where":
			f.Where = rest
		case word == "saw":
			f.Why = rest
		case word == "help":
			f.Help = rest
		}
	}
	return f
}

func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n), []string{"KiB", "MiB", "GiB", "TiB"}
	i := -1
	for value >= unit && i < len(names)-1 {
		value, i = value/unit, i+1
	}
	return fmt.Sprintf("%.1f %s", value, names[i])
}
