module modelway.dev/hack/tools/pause

go 1.25.0
