"""`make demo`: the main job, on a real cluster, told as it happens."""
