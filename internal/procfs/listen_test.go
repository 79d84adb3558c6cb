package procfs

import "testing"

func FuzzParseSocket(f *testing.F) {
	f.Add([]byte("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0"))
	f.Add([]byte("   1: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1"))
	f.Fuzz(func(_ *testing.T, line []byte) {
		if _, addr, ok := parseSocket(line); ok {
			_ = addr.String()
		}
	})
}

func TestParseSocket(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 12345 1":               "127.0.0.1:8080",
		"0: 00000000:0BB8 00000000:0000 0A 0:0 00:0 0 0 0 12345 1":               "0.0.0.0:3000",
		"0: 00000000000000000000000001000000:0BB8 0:0 0A 0:0 00:0 0 0 0 12345 1": "[::1]:3000",
		"0: 0000000000000000FFFF00000100007F:0BB8 0:0 0A 0:0 00:0 0 0 0 12345 1": "127.0.0.1:3000",
	} {
		inode, addr, ok := parseSocket([]byte(line))
		if !ok || inode != "12345" || addr.String() != want {
			t.Errorf("%q: %s %s %t, want %s", line, inode, addr, ok, want)
		}
	}
	if _, _, ok := parseSocket([]byte("0: 0100007F:1F90 0100007F:1F91 01 0:0 00:0 0 0 0 12345 1")); ok {
		t.Error("a connection listens")
	}
}
