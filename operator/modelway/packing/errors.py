"""How packing and converting fail, beside `ModelError` of the server (drawn in `artifacts.errors`)."""

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason


class NotConvertibleError(ModelError):
    """There is no way from this model to ONNX; the message says what of it has none."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.CONVERSION_FAILED, problem)


class ParityError(ModelError):
    """The converted model does not answer as the original does."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.PARITY_FAILED, problem)


class RowsError(ModelError):
    """The sample rows cannot be read, or are not what the model takes."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.ROWS_INVALID, problem)


class UnwritableError(ModelError):
    """The folder that is to hold the result is not empty, or cannot be written."""

    def __init__(self, problem: str) -> None:
        super().__init__(Reason.STORAGE_UNWRITABLE, problem)
