package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// Usage is what a container used.
type Usage struct {
	CPU    time.Duration // so far, of all cores
	Memory uint64        // bytes now, without what the kernel would give back (inactive file cache)
}

// Usage returns what a container used so far.
func (e *Engine) Usage(ctx context.Context, id string) (Usage, error) {
	got, err := e.api.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return Usage{}, e.failed("measure a container", err)
	}
	defer got.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(got.Body).Decode(&s); err != nil {
		return Usage{}, fmt.Errorf("measure a container: %w", err)
	}
	u := Usage{CPU: time.Duration(s.CPUStats.CPUUsage.TotalUsage), Memory: s.MemoryStats.Usage}
	for _, name := range []string{"inactive_file", "total_inactive_file"} { // cgroups v2, v1
		if cache, ok := s.MemoryStats.Stats[name]; ok && cache < u.Memory {
			u.Memory -= cache
			break
		}
	}
	return u, nil
}
