"""Where rows and predictions are in a document."""

import pytest

from modelway.api.crd import render
from modelway.observer import paths
from modelway.observer.paths import PathError, path_of, values_at

DOCUMENT = {
    "instances": [[1, 2], [3, 4]],
    "answer": {"score": 0.5, "a/b": 1, "~": 2, "": 3},
    "data": [{"ndarray": [[5, 6]]}],
    "rows": [{"features": {"age": 40}}, {"features": {"age": 50}}, {"other": 1}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", [DOCUMENT]),
        ("/instances", [[[1, 2], [3, 4]]]),
        ("/instances/*", [[1, 2], [3, 4]]),
        ("/instances/*/*", [1, 2, 3, 4]),
        ("/instances/1", [[3, 4]]),
        ("/instances/2", []),
        ("/instances/-1", []),
        ("/instances/01", []),
        ("/instances/1/0", [3]),
        ("/rows/*/features", [{"age": 40}, {"age": 50}]),
        ("/answer/score", [0.5]),
        ("/data/0/ndarray/*", [[5, 6]]),
        ("/answer/a~1b", [1]),
        ("/answer/~0", [2]),
        ("/answer/", [3]),
        ("/answer/*", []),
        ("/answer/score/more", []),
        ("/predictions/*", []),
    ],
)
def test_a_path_leads_to_what_it_names(path, found):
    assert values_at(DOCUMENT, path_of(path)) == found


@pytest.mark.parametrize("text", ["instances", "instances.*", "/a~2", "$.instances", "/a~", " /a"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(PathError, match="is no JSON Pointer such as"):
        path_of(text)


def test_the_schema_takes_what_the_observer_does():
    schema = render()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"]["monitoring"]["properties"]["observe"]["properties"]
    assert {fields[name]["pattern"] for name in ("requestPath", "responsePath")} == {f"^{paths._POINTER.pattern}$"}
