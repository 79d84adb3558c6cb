package runtimes

import "testing"

func TestReadVersion_skipsWarnings(t *testing.T) {
	t.Parallel()
	v, err := readVersion("warning: odd locale\nv22.11.0-nightly\n")
	if err != nil || v != (Version{22, 11}) {
		t.Errorf("%v, %v", v, err)
	}
}

func FuzzReadVersion(f *testing.F) {
	for _, out := range []string{"v20.20.2\n", "Python 3.11.7\n", "hello", "", "v99999.1"} {
		f.Add(out)
	}
	f.Fuzz(func(t *testing.T, out string) {
		v, err := readVersion(out)
		if err != nil && v != (Version{}) || v.Major > 9999 || v.Minor > 9999 {
			t.Errorf("%q: %v, %v", out, v, err)
		}
	})
}
