import pytest

from support.reported import USUAL_ANSWERS, Model


@pytest.fixture
def drifted():
    """Ages have moved for three windows."""
    model = Model(usual=USUAL_ANSWERS)
    model.window(times=2)
    model.window(times=3, age=lambda ages: ages + 12)
    return model
