package queue

import (
	"fmt"
	"sync"
	"testing"
)

func BenchmarkSend(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			s := open(b, Clock{})
			must(b, s.SetQueue(b.Context(), Queue{Name: "q"}))
			e := Entry{Body: make([]byte, 1024)}
			work := make(chan struct{}, b.N)
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			b.ResetTimer()
			var wg sync.WaitGroup
			for range senders {
				wg.Go(func() {
					for range work {
						if _, err := s.Send(b.Context(), "q", e); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
		})
	}
}

// BenchmarkReceiveDelete receives ten and settles ten, as a function's batch does.
func BenchmarkReceiveDelete(b *testing.B) {
	s := open(b, Clock{})
	must(b, s.SetQueue(b.Context(), Queue{Name: "q"}))
	for range b.N {
		if _, err := s.SendBatch(b.Context(), "q", make([]Entry, MaxBatch)); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		var st Settlement
		for _, m := range receive(b, s, "q", MaxBatch) {
			st.Handled = append(st.Handled, m.Receipt)
		}
		if _, err := s.Settle(b.Context(), "q", st); err != nil || len(st.Handled) != MaxBatch {
			b.Fatal(len(st.Handled), err)
		}
	}
	b.ReportMetric(float64(b.N*MaxBatch)/b.Elapsed().Seconds(), "messages/s")
}
