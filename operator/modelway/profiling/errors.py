"""How profiling fails (drawn in `artifacts.errors`)."""

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason


class ProfileError(ModelError):
    """The rows cannot be read, or there is nothing in them to compare with; the message says where and why."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.ROWS_INVALID, problem)
