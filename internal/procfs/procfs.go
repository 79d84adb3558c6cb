// Package procfs reads what Linux tells of processes under /proc. See proc(5).
package procfs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// StartTime returns when process pid started, in clock ticks after boot: field 22
// of /proc/PID/stat. With the number of the process it names a process for as
// long as the machine runs, because numbers are used again. It works for a
// process that has ended and has not been waited for.
func StartTime(pid int) (uint64, error) {
	fields, err := Stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[22-3], 10, 64)
}

// Stat returns the fields of /proc/PID/stat from the third on (the state): the
// second, the program's name, may hold spaces and brackets.
func Stat(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return nil, fmt.Errorf("/proc/%d/stat: no program name", pid)
	}
	var fields []string
	for f := range bytes.FieldsSeq(b[i+1:]) {
		fields = append(fields, string(f))
	}
	if len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat: %d fields after the name", pid, len(fields))
	}
	return fields, nil
}
