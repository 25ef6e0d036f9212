import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_restored():
    """Commands set logging up for their process; here many share one."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
