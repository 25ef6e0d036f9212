"""The operator starts without numpy: most ModelDeployments never need its statistics."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelway.late import load_late

TESTS = Path(__file__).parent.parent

LIFE = """
import sys
from modelway.late import load_late
load_late("numpy")
import modelway.controller.app
from support.simulation import Simulation
from support.builders import spec
world = Simulation(spec(model__version="1"))
world.settle()
world.edit(model__version="2")
world.settle()
assert world.stable
print([name for name in sys.modules if name.startswith("numpy.")])
import numpy
from modelway.stats import Evidence
print(numpy.asarray([1, 2]).sum(), Evidence.begin(0.01).log_harm, sys.modules["numpy"].__version__ == numpy.__version__)
"""


def test_a_version_is_replaced_by_the_next_without_numpy_and_it_is_there_when_it_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", LIFE], cwd=TESTS, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines() == ["[]", "3 0.0 True"], done.stderr


def test_a_module_that_is_not_there_is_told_at_once():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load_late("no_such_module")


def test_a_module_that_is_loaded_already_stays():
    import json

    load_late("json")
    assert sys.modules["json"] is json
