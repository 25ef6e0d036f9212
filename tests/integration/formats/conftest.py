"""Models of libraries that take seconds to import: each is imported once, by the one file that tests it."""

import os

import numpy as np
import pytest

# Before the libraries count the machine's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def cancer():
    from sklearn.datasets import load_breast_cancer

    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="session")
def iris_rows():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def holes():
    """Put NaN into a tenth of an array's values."""

    def make(rows):
        rows = rows.copy()
        rows[np.random.default_rng(7).random(rows.shape) < 0.1] = np.nan
        return rows

    return make
