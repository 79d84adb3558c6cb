package main

import (
	"context"
	"net/http"

	"titrate/bench/figures"
	"titrate/examples/cofe/load"
)

type traffic = figures.Traffic[*load.Report]

func startLoad(ctx context.Context, url string, rate float64) *traffic {
	return figures.StartTraffic(ctx, func(ctx context.Context, transport http.RoundTripper) (*load.Report, error) {
		return load.Run(ctx, load.Config{URL: url, Host: host, Rate: rate, Transport: transport})
	})
}
