package porttest

import (
	"net"
	"testing"
	"time"
)

func TestHeld_isTheTestsOwn(t *testing.T) {
	t.Parallel()
	a, b := Addr(t), Addr(t)
	if a == b {
		t.Fatalf("%s was given twice", a)
	}
	if c, err := net.DialTimeout("tcp", a, time.Minute); err == nil {
		c.Close()
		t.Fatalf("somebody listens at %s", a)
	}
	l, err := net.Listen("tcp", a)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for range 200 { // the kernel gives it to nobody who asks for any port
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if at := other.Addr().String(); at == a || at == b {
			t.Fatalf("%s was given to somebody else", at)
		}
	}
}
