"""The reference as JSON: what it says comes back, and what cannot be is refused with its place."""

import orjson
import pytest

from modelway.stats.drift_cells import Cells
from modelway.stats.drift_reference import Feature, ReferenceRefusedError, from_record, to_record

AGE = Feature("age", Cells((1.5, 2.5), None, 0.0, 9.0, 2.0, 1.0), (1, 2, 3), missing=4, magnitude=1.5)
COLOUR = Feature("colour", Cells(categories=("red",)), (5, 1))
HASHED = Feature("name", Cells(categories=()), (1,) * 64)


def test_what_was_written_comes_back():
    record = orjson.loads(orjson.dumps(to_record([AGE, COLOUR, HASHED])))
    assert from_record(record) == (AGE, COLOUR, HASHED)


def changed(**fields):
    return {"features": [to_record([AGE])["features"][0] | fields]}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        pytest.param({}, "features: a list of objects is needed", id="nothing"),
        pytest.param({"features": []}, "features: none", id="empty"),
        pytest.param({"features": [1]}, "features: a list of objects is needed", id="no objects"),
        pytest.param(changed(name=1), "features.0.name: a text is needed", id="name"),
        pytest.param(changed(name="x" * 257), "features.0.name: more than 256 bytes", id="a long name"),
        pytest.param(changed(counts=[1, -1, 1]), "features.0.counts: a list of whole numbers", id="negative counts"),
        pytest.param(changed(counts=[1, 2]), "features.0.counts: 2, where there are 3 cells", id="too few counts"),
        pytest.param(changed(counts=[0, 0, 0]), "features.0.counts: no rows", id="no rows"),
        pytest.param(changed(edges=None), "features.0.give either edges", id="neither"),
        pytest.param(changed(categories=["a"]), "features.0.give either edges", id="both"),
        pytest.param(changed(edges="x"), "features.0.edges: a list of numbers is needed", id="no list"),
        pytest.param(changed(edges=[2.5, 1.5]), "features.0.edges: they must rise", id="falling"),
        pytest.param(changed(edges=[1.5, 10.0]), "features.0.edges: one lies outside", id="out of range"),
        pytest.param(changed(lowest=None), "features.0.lowest, highest: numbers need both", id="no range"),
        pytest.param(changed(mean=float("nan")), "features.0.mean: a finite number is needed", id="NaN"),
        pytest.param(changed(edges=list(range(65)), highest=99.0), "features.0.edges: 65 are more than 64", id="many"),
        pytest.param(
            {"features": to_record([AGE, AGE])["features"]}, 'features.1.name: "age" is there twice', id="twice"
        ),
        pytest.param(
            {"features": [{"name": "c", "categories": ["a", "a"], "counts": [1, 1, 1]}]},
            "features.0.categories: the same one twice",
            id="a category twice",
        ),
        pytest.param(
            {"features": [{"name": f"f{n}", "categories": [], "counts": [1] * 64} for n in range(501)]},
            "features: 501 are more than 500",
            id="too many",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(record, problem):
    with pytest.raises(ReferenceRefusedError) as caught:
        from_record(record)
    assert str(caught.value).startswith(problem)
