"""The API server's side of modelway: client, store, reflectors, lease, events. Knows nothing of models."""
