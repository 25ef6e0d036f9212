"""The exceptions of what runs in a model's pod: one tree, each leaf with a reason.

    ModelwayError                 ends the process: reason and message become its termination message
    ├── ArtifactError             the model could not be fetched          (artifacts)
    └── ModelError                the model could not be loaded           (server)
    RequestError                  ends one request: status and message    (server.errors)
    TransientError                ends one try of a download; never leaves `artifacts`
    └── SourceChangedError        …and what was read so far belongs to other bytes

A message is one sentence for a person who did not write this code: what happened, where, and what to do. It never
holds a secret: URIs are put into it by `uri.redact`.
"""

from modelway.artifacts.reasons import Reason


class ModelwayError(Exception):
    """The process cannot do its work. `reason` is for machines, `message` for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class ArtifactError(ModelwayError):
    """The model could not be brought to where it is served."""


class ModelError(ModelwayError):
    """The model is there and cannot be served."""


class TransientError(Exception):
    """A try that failed in a way that another may not: a dropped connection, a timeout, a 5xx, a 429.

    `reason` is the one to report when no try is left.
    """

    def __init__(self, message: str, *, reason: Reason = Reason.DOWNLOAD_FAILED) -> None:
        super().__init__(message)
        self.reason = reason


class SourceChangedError(TransientError):
    """The file at the source is not the one whose beginning was read: begin anew."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.CHANGED_WHILE_READING)
