"""What of a prediction that is JSON is counted: its class, its score. Pure.

As the model server does it (`server.sighting`): a text, a boolean or a whole number is a class, a number with decimals
a score; several numbers are probabilities, the largest being the class's. What JSON does not tell, a model that is
described does: where its maker's answers were all scores, a 1 is a score, and where they were all classes, a 1.0 is a
class.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from modelway.api.observations import CLASS, VALUE
from modelway.server.answers import Sighting


class Kind(Enum):
    """What single numbers are."""

    BY_TYPE = 0
    CLASSES = 1
    SCORES = 2


def kind_of(answers: Mapping[str, int]) -> Kind:
    """What the answers are whose counts the model's maker has told."""
    has_classes = any(key.startswith(CLASS) for key in answers)
    has_scores = any(key.startswith(VALUE) for key in answers)
    if has_classes == has_scores:
        return Kind.BY_TYPE
    return Kind.CLASSES if has_classes else Kind.SCORES


def sighting(prediction: Any, kind: Kind = Kind.BY_TYPE, classes: Sequence[object] = ()) -> Sighting:
    """The class and the score of a prediction, None for what it has not.

    Args:
        prediction: a value, or a list of numbers.
        kind: what single numbers are.
        classes: labels in the order of the probabilities.

    """
    if isinstance(prediction, list) and len(prediction) == 1:
        prediction = prediction[0]
    if isinstance(prediction, list):
        return _of_several(prediction, classes)
    if isinstance(prediction, (str, bool)):
        return prediction, None
    if not isinstance(prediction, (int, float)):
        return None, None
    is_class = kind is Kind.CLASSES or (kind is Kind.BY_TYPE and isinstance(prediction, int))
    return (prediction, None) if is_class else (None, _float(prediction))


def _of_several(numbers: Sequence[Any], classes: Sequence[object]) -> Sighting:
    if not numbers or not all(type(one) in {int, float} for one in numbers):
        return None, None
    largest = max(range(len(numbers)), key=numbers.__getitem__)
    label = classes[largest] if largest < len(classes) else largest
    return label, _float(numbers[1] if len(numbers) == 2 else numbers[largest])


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of more than 308 digits
        return float("inf") if number > 0 else float("-inf")
