package pool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"titrate/internal/target/local/pool"
)

// farm makes instances, which are numbers.
type farm struct {
	mu      sync.Mutex
	made    int
	running map[int]bool
	takes   time.Duration
	fail    error
	begun   atomic.Int32
}

func (f *farm) pool(lowest, highest int) *pool.Pool[int] {
	f.running = map[int]bool{}
	return pool.New(pool.Config[int]{Min: lowest, Max: highest, Now: time.Now, Start: f.start, Stop: f.stop})
}

func (f *farm) start(ctx context.Context) (int, error) {
	f.begun.Add(1)
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, f.fail
	}
	f.made++
	f.running[f.made] = true
	return f.made, nil
}

func (f *farm) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made
}

func (f *farm) stop(i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.running[i] {
		panic("stopped twice")
	}
	delete(f.running, i)
}

func lend(t *testing.T, p *pool.Pool[int]) (int, bool) {
	t.Helper()
	i, cold, err := p.Lend(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i, cold
}

func TestLend_startsOneAndThenTheWarmOneServes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 3)
		defer p.Close(t.Context())
		i, cold := lend(t, p)
		if !cold {
			t.Error("the first is not cold")
		}
		p.Return(i, false)
		if again, cold := lend(t, p); again != i || cold {
			t.Errorf("%d after %d, cold %v", again, i, cold)
		}
		other, _ := lend(t, p)
		p.Return(i, false)
		p.Return(other, false)
		if last, _ := lend(t, p); last != other { // the others may get old, and go
			t.Errorf("%d is lent, %d was used last", last, other)
		}
		p.Return(other, false)
	})
}

func TestLend_neverWaitsBehindAColdStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 3)
		defer p.Close(t.Context())
		warm, _ := lend(t, p)
		f.takes = time.Hour
		began := time.Now()
		go func() {
			time.Sleep(10 * time.Millisecond)
			p.Return(warm, false)
		}()
		i, cold := lend(t, p)
		if i != warm || cold || time.Since(began) > time.Second {
			t.Errorf("%d, cold %v, after %s", i, cold, time.Since(began))
		}
		p.Return(i, false)
	})
}

func TestLend_throttlesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 2)
		defer p.Close(t.Context())
		a, _ := lend(t, p)
		began := make(chan struct{})
		go func() { // is waiting, and counts
			defer close(began)
			i, _ := lend(t, p)
			p.Return(i, false)
		}()
		synctest.Wait()
		if _, _, err := p.Lend(t.Context()); !errors.Is(err, pool.ErrThrottled) {
			t.Error(err)
		}
		<-began
		p.Return(a, false)
	})
}

func TestLend_tellsThatTheFunctionDoesNotStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second, fail: errors.New("no such module")}
		p := f.pool(0, 4)
		defer p.Close(t.Context())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, _, err := p.Lend(t.Context()); !errors.Is(err, f.fail) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if idle, busy, starting := p.Count(); idle+busy+starting != 0 {
			t.Error(idle, busy, starting)
		}
	})
}

func TestLend_whoeverGivesUpLeavesAnInstanceBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 1)
		defer p.Close(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := p.Lend(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		i, _ := lend(t, p) // does not start another
		p.Return(i, false)
		if f.made != 1 {
			t.Error(f.made)
		}
	})
}

func TestReturn_whatIsBrokenIsStoppedAndReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 1)
		defer p.Close(t.Context())
		a, _ := lend(t, p)
		p.Return(a, true)
		if b, cold := lend(t, p); b == a || !cold {
			t.Error(b, cold)
		} else {
			p.Return(b, false)
		}
		p.Return(a, false) // is none any more
		synctest.Wait()
		if idle, _, _ := p.Count(); idle != 1 {
			t.Error(idle)
		}
	})
}

func TestExpire_keepsWhatMustStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(1, 4)
		defer p.Close(t.Context())
		p.Warm(9)
		time.Sleep(time.Minute)
		if idle, _, _ := p.Count(); idle != 4 {
			t.Fatal(idle)
		}
		p.Expire(2 * time.Minute)
		if idle, _, _ := p.Count(); idle != 4 {
			t.Error(idle, "before their time")
		}
		p.Expire(10 * time.Second)
		synctest.Wait()
		if idle, _, _ := p.Count(); idle != 1 || len(f.running) != 1 {
			t.Error(idle, len(f.running))
		}
	})
}

func TestClose_waitsForWhatIsLent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 3)
		a, _ := lend(t, p)
		b, _ := lend(t, p)
		p.Return(b, false)
		go func() {
			time.Sleep(time.Minute)
			p.Return(a, false)
		}()
		began := time.Now()
		p.Close(t.Context())
		if time.Since(began) != time.Minute || len(f.running) != 0 {
			t.Error(time.Since(began), len(f.running))
		}
		if _, _, err := p.Lend(t.Context()); !errors.Is(err, pool.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestClose_stopsWhatIsNotGivenBackInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 3)
		a, _ := lend(t, p)
		var waits sync.WaitGroup
		f.takes = time.Hour
		waits.Go(func() {
			if _, _, err := p.Lend(t.Context()); !errors.Is(err, pool.ErrClosed) {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p.Close(ctx)
		waits.Wait()
		if len(f.running) != 0 {
			t.Error(f.running)
		}
		p.Return(a, true) // is stopped already
	})
}

// TestPool_underLoad lends from many sides: no instance is lent to two, and all that were
// made are stopped.
func TestPool_underLoad(t *testing.T) {
	t.Parallel()
	const highest = 5
	f := farm{}
	p := f.pool(1, highest)
	var mu sync.Mutex
	var lentNow []int
	var all sync.WaitGroup
	for who := range 16 {
		all.Go(func() {
			for n := range 200 {
				i, _, err := p.Lend(t.Context())
				if errors.Is(err, pool.ErrThrottled) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if slices.Contains(lentNow, i) {
					t.Errorf("%d is lent to two", i)
				}
				lentNow = append(lentNow, i)
				mu.Unlock()
				mu.Lock()
				lentNow = slices.DeleteFunc(lentNow, func(other int) bool { return other == i })
				mu.Unlock()
				p.Return(i, (who+n)%17 == 0)
				if n%50 == 0 {
					p.Expire(0)
				}
			}
		})
	}
	all.Wait()
	p.Close(t.Context())
	if len(f.running) != 0 || f.made < highest {
		t.Errorf("%d run still, %d were made", len(f.running), f.made)
	}
}

func TestResize_letsMoreInAndEndsWhatIsTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 1)
		defer p.Close(t.Context())
		one, _ := lend(t, p)
		if _, _, err := p.Lend(t.Context()); !errors.Is(err, pool.ErrThrottled) {
			t.Fatalf("a second of one: %v", err)
		}
		p.Resize(2, 0)
		two, _ := lend(t, p)
		p.Resize(1, 0)
		p.Return(one, false)
		p.Return(two, false)
		synctest.Wait()
		if idle, busy, _ := p.Count(); idle != 1 || busy != 0 || len(f.running) != 1 {
			t.Errorf("%d idle, %d at work, %v run", idle, busy, f.running)
		}
	})
}

func TestDrop_endsWhatNobodyHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Second}
		p := f.pool(0, 2)
		defer p.Close(t.Context())
		one, _ := lend(t, p)
		two, _ := lend(t, p)
		p.Drop(one) // left to who has it
		p.Return(two, false)
		p.Drop(two)
		synctest.Wait()
		if idle, busy, _ := p.Count(); idle != 0 || busy != 1 || !f.running[one] || f.running[two] {
			t.Errorf("%d idle, %d at work, %v run", idle, busy, f.running)
		}
		p.Return(one, true)
	})
}

// TestLend_aBurstOfShortCallsStartsNothing that it would be over before; what turns out to
// be long does.
func TestLend_aBurstOfShortCallsStartsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: 100 * time.Millisecond}
		p := f.pool(0, 64)
		defer p.Close(t.Context())
		call := func(takes time.Duration) {
			i, _ := lend(t, p)
			time.Sleep(takes)
			p.Return(i, false)
		}
		for range 20 { // it is known what one takes
			call(time.Millisecond)
		}
		var all sync.WaitGroup
		burst := func(takes time.Duration) time.Duration {
			began := time.Now()
			for range 3 {
				all.Go(func() { call(takes) })
			}
			all.Wait()
			return time.Since(began)
		}
		if took := burst(time.Millisecond); f.made != 1 || took != 3*time.Millisecond {
			t.Errorf("three short calls took %s, with %d instances", took, f.made)
		}
		if took := burst(time.Minute); f.made != 3 || took > time.Minute+300*time.Millisecond {
			t.Errorf("three long calls took %s, with %d instances", took, f.made)
		}
		// From now on it is known that they are long.
		began := time.Now()
		for range 6 {
			all.Go(func() { call(time.Minute) })
		}
		all.Wait()
		if took := time.Since(began); f.made != 6 || took > time.Minute+100*time.Millisecond {
			t.Errorf("six long calls took %s, with %d instances", took, f.made)
		}
	})
}

func TestWarm_letsAStartThatAnInvocationWaitsForGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := make(chan struct{}, 1)
		slow := farm{takes: 100 * time.Millisecond, running: map[int]bool{}}
		var pools []*pool.Pool[int]
		for range 10 {
			p := pool.New(pool.Config[int]{Max: 3, Now: time.Now, Start: slow.start, Stop: slow.stop, Turns: turns})
			defer p.Close(t.Context())
			p.Warm(1)
			pools = append(pools, p)
		}
		began := time.Now()
		synctest.Wait()
		// Whichever has its turn: an invocation of the others waits for none of it.
		for _, p := range pools {
			i, _ := lend(t, p)
			p.Return(i, false)
		}
		if took := time.Since(began); took > 1000*time.Millisecond {
			t.Errorf("invocations of ten waited %v one after the other, one start takes 100ms", took)
		}
		for _, p := range pools {
			if idle, _, starting := p.Count(); idle != 1 || starting != 0 {
				t.Errorf("%d are idle and %d starting, one was wanted", idle, starting)
			}
		}
	})
}

func TestWarm_startsSoManyAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := make(chan struct{}, 2)
		f := farm{takes: 100 * time.Millisecond, running: map[int]bool{}}
		hung := farm{takes: time.Hour, running: map[int]bool{}}
		for i := range 10 {
			start := f.start
			if i == 0 { // has its turn for a while only
				start = hung.start
			}
			p := pool.New(pool.Config[int]{Max: 3, Now: time.Now, Start: start, Stop: f.stop, Turns: turns})
			defer p.Close(t.Context())
			p.Warm(1)
		}
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		if n := f.count(); n > 2 {
			t.Errorf("%d were started in the time of one, two at a time may be", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.count(); n != 9 {
			t.Errorf("%d of 9 were started beside one that hangs", n)
		}
	})
}

func TestLend_aHoldUpDoesNotStartOneForEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: 100 * time.Millisecond}
		p := f.pool(0, 64)
		defer p.Close(t.Context())
		for range 50 { // calls take no time, as far as is known
			i, _ := lend(t, p)
			p.Return(i, false)
		}
		held, _ := lend(t, p)
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				i, _ := lend(t, p)
				p.Return(i, false)
			})
		}
		time.Sleep(90 * time.Millisecond) // all are late, and nothing has started
		synctest.Wait()
		if _, busy, starting := p.Count(); busy != 1 || starting != 1 {
			t.Errorf("%d are started for waiters who are late beside %d at work", starting, busy)
		}
		all.Wait()
		p.Return(held, false)
		if n := f.count(); n > 3 {
			t.Errorf("%d were started", n)
		}
	})
}

// TestLend_startsNoMoreAtATimeThanTheMachineHasRoomFor and none that is not wanted any more
// when it has its turn.
func TestLend_startsNoMoreAtATimeThanTheMachineHasRoomFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: 50 * time.Millisecond, running: map[int]bool{}}
		p := pool.New(pool.Config[int]{Max: 64, Now: time.Now, Start: f.start, Stop: f.stop, Starts: make(chan struct{}, 2)})
		defer p.Close(t.Context())
		var all sync.WaitGroup
		for range 40 { // of none of which it is known that it is short
			all.Go(func() {
				i, _ := lend(t, p)
				time.Sleep(time.Millisecond)
				p.Return(i, false)
			})
		}
		all.Wait()
		if n := f.count(); n != 2 {
			t.Errorf("%d were started, two at a time may be, and then all were served", n)
		}
		synctest.Wait()
		if _, _, starting := p.Count(); starting > 2 { // whose turn came while they were wanted
			t.Errorf("%d are starting, and nobody waits", starting)
		}
	})
}

func TestLend_aStartThatHangsHasItsTurnForAWhileOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := farm{takes: time.Hour, running: map[int]bool{}}
		p := pool.New(pool.Config[int]{Max: 64, Now: time.Now, Start: f.start, Stop: f.stop, Starts: make(chan struct{}, 2)})
		defer p.Close(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { _, _, _ = p.Lend(ctx) })
		}
		time.Sleep(time.Minute)
		if n := f.begun.Load(); n != 6 {
			t.Errorf("%d of 6 were begun", n)
		}
		cancel()
		all.Wait()
	})
}
