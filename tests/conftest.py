"""What all tests share: how hard hypothesis tries, and the markers.

`pytest --hypothesis-profile=thorough` tries a hundred times as much; worth an hour after a change of `plan`.
"""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "modelway",
    max_examples=40,
    deadline=None,  # the machine may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.register_profile("thorough", settings.get_profile("modelway"), max_examples=4000)
settings.load_profile("modelway")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "faults: kills and outages in numbers; minutes, not seconds (make test-faults)")
