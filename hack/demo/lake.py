"""The S3 bucket of a demo, as far as batch runs read and write it."""

import io
import json
from typing import Any, Final

import obstore
import pyarrow as pa
from hack.demo.stage import Stage
from pyarrow import parquet

SMALL: Final = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "768Mi"}}
"""Resources of a pod that scores."""


class Lake:
    """What stands below one prefix of the bucket; runs of a day write to `out/dt=<day>/`."""

    def __init__(self, stage: Stage, prefix: str) -> None:
        self.uri = f"s3://models/{prefix}"
        self._prefix = prefix
        self._store = stage.store()

    def clear(self) -> None:
        """Delete everything."""
        for page in obstore.list(self._store, prefix=self._prefix):
            obstore.delete(self._store, [entry["path"] for entry in page])

    def put(self, table: pa.Table, *paths: str, rows_per_group: int) -> None:
        """Write a table as Parquet, to each of the paths."""
        file = io.BytesIO()
        parquet.write_table(table, file, row_group_size=rows_per_group)
        for path in paths:
            obstore.put(self._store, f"{self._prefix}/{path}", file.getvalue())

    def read(self, path: str) -> bytes:
        """What a file holds."""
        return bytes(obstore.get(self._store, f"{self._prefix}/{path}").bytes())

    def parts(self, day: str) -> list[dict[str, Any]]:
        """The parts of a day's output, as its manifest has them."""
        parts: list[dict[str, Any]] = json.loads(self.read(f"out/dt={day}/_manifest.json"))["parts"]
        return parts

    def answers(self, day: str) -> pa.Table:
        """A day's output, in the order of its parts."""
        parts = [self.read(f"out/dt={day}/{part['path']}") for part in self.parts(day)]
        return pa.concat_tables([parquet.read_table(io.BytesIO(part)) for part in parts])
