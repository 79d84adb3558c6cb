package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"titrate/internal/gateway"
)

// AccessLogVar names the variable that holds the setting of the access log: off, all, or a
// share of the requests such as 5%.
const AccessLogVar = "TITRATE_ACCESS_LOG"

// AccessLogPath is where the node of the data folder dir writes the access log.
func AccessLogPath(dir string) string { return folder(dir).at("logs", "access.log") }

// ParseAccessLog reads a setting of the access log: the share of the requests that it asks
// for. 0 is none.
func ParseAccessLog(s string) (share float64, err error) {
	switch s {
	case "", "off":
		return 0, nil
	case "all":
		return 1, nil
	}
	percent, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(percent, 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return 0, fmt.Errorf("%q is none of off, all, and a share of the requests: above 0%% and at most 100%%", s)
	}
	return n / 100, nil
}

// accessLog is how the gateway keeps the access log; zero where it is off.
func (f folder) accessLog(setting string) (gateway.AccessLog, error) {
	share, err := ParseAccessLog(setting)
	if err != nil || share == 0 {
		return gateway.AccessLog{}, err
	}
	return gateway.AccessLog{To: &accessFile{path: AccessLogPath(string(f)), most: maxAccessFile, keep: keptAccessFiles}, Share: share}, nil
}

const (
	maxAccessFile   = 64 << 20 // bytes of access.log, which then becomes access.log.1
	keptAccessFiles = 4        // beside it, the oldest with the highest number
	accessLook      = time.Second
)

// accessFile is a file that whole lines are added to. When it has grown too large its name
// is given to a new one, and the oldest is forgotten. Others may do that too, as logrotate
// or the node that takes over: within a second it goes on in what has the name. A write that
// fails, as on a full disk, fails alone: the next tries anew.
type accessFile struct {
	path string
	most int64
	keep int

	file   *os.File
	looked time.Time // when the file last had the name
}

func (a *accessFile) Write(p []byte) (int, error) {
	if err := a.open(); err != nil {
		return 0, err
	}
	n, err := a.file.Write(p)
	if err != nil {
		a.close()
		return n, err
	}
	info, err := a.file.Stat()
	if err == nil && info.Size() >= a.most {
		a.rotate()
	}
	return n, nil
}

// open has a file that is the one of the name, or was a second ago.
func (a *accessFile) open() error {
	now := time.Now()
	if a.file != nil && now.Sub(a.looked) >= accessLook {
		named, err := os.Stat(a.path)
		mine, errMine := a.file.Stat()
		if err != nil || errMine != nil || !os.SameFile(named, mine) {
			a.close()
		}
		a.looked = now
	}
	if a.file != nil {
		return nil
	}
	f, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	a.file, a.looked = f, now
	return nil
}

// rotate gives the names on. One that cannot be given on is tried again with the next
// write: the log goes on.
func (a *accessFile) rotate() {
	mine, err := a.file.Stat()
	named, errNamed := os.Stat(a.path)
	if a.close(); err != nil || errNamed != nil || !os.SameFile(mine, named) {
		return // somebody else has done it
	}
	name := func(n int) string { return a.path + "." + strconv.Itoa(n) }
	for n := a.keep; n > 1; n-- {
		_ = os.Rename(name(n-1), name(n)) // there may be none yet
	}
	_ = os.Rename(a.path, name(1))
}

func (a *accessFile) close() {
	a.file.Close()
	a.file = nil
}
