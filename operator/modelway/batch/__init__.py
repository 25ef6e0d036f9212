"""Batch prediction: a model over all rows of a data set, in shards that may be killed and run again at any point.

The way of a run: `run` loads the model and gets the `plan`, the one object that says which rows each shard scores;
`shard` reads its rows (`parquet`, `text`), makes the model's inputs of them (`columns`), scores them (`scoring`) and
writes one part (`parts`); whichever shard completes the set writes the manifest and then `_SUCCESS` (`finish`).

What always holds: an object in the output is there wholly or not at all; a part belongs to the plan whose hash is in
its name; `_SUCCESS` is written last, after every part was seen with the size and the content that its record tells.
"""
