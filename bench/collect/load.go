package main

import (
	"context"
	"net/http"

	"titrate/bench/figures"
	"titrate/examples/collect/load"
)

type traffic = figures.Traffic[*load.Report]

func startLoad(ctx context.Context, url string, rate float64, seed uint64) *traffic {
	return figures.StartTraffic(ctx, func(ctx context.Context, transport http.RoundTripper) (*load.Report, error) {
		return load.Run(ctx, load.Config{URL: url, Host: host, Rate: rate, Seed: seed, Transport: transport})
	})
}
