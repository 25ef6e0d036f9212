"""How a PFA document is refused. Raised by every module here, turned into a ModelError by `load`."""


class PfaError(ValueError):
    """Something in the document is wrong or not supported.

    Args:
        where: the place, as a path of keys and positions: `action[0].let.score`.
        problem: what is wrong there.

    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where or 'the document'}: {problem}")


class EvaluationError(ValueError):
    """A row cannot be answered."""
