"""Pickles that attack, each with a trap that would leave a file behind if anything of it ran."""

import io
import os
import pickle
import pydoc
import timeit
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.f2py import crackfortran
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import allowlist, unpickle
from modelway.server.formats.unpickle import ForbiddenGlobalError
from support.models import iris


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


ATTACKS = {
    "os.system": lambda trap: (Calls(os.system, f"touch {trap}"), "posix.system"),
    "eval": lambda trap: (Calls(eval, f"open({str(trap)!r}, 'w')"), "builtins.eval"),
    "pydoc.pipepager": lambda trap: (Calls(pydoc.pipepager, "x", f"cat > {trap}"), "pydoc.pipepager"),
    "timeit.timeit": lambda trap: (
        Calls(timeit.timeit, f"open({str(trap)!r}, 'w')", "pass", timeit.default_timer, 1),
        "timeit.timeit",
    ),
    "numpy.f2py": lambda trap: (
        Calls(crackfortran.myeval, f"open({str(trap)!r}, 'w')"),
        "numpy.f2py.crackfortran.myeval",
    ),
    "numpy.load": lambda trap: (Calls(np.load, str(trap)), "numpy.load"),
    "numpy.memmap": lambda trap: (Calls(np.memmap, str(trap), "u1", "w+", 0, (1,)), "numpy.memmap"),
    "open": lambda trap: (Calls(open, str(trap), "w"), "io.open"),
    "hidden in a good model": lambda trap: (
        FunctionTransformer(kw_args={"x": Calls(os.system, f"touch {trap}")}),
        "posix.system",
    ),
    "hidden in an array of objects": lambda trap: (
        np.array([Calls(os.system, f"touch {trap}"), 1], dtype=object),
        "posix.system",
    ),
}


@pytest.fixture(params=ATTACKS)
def attack(request, tmp_path):
    trap = tmp_path / "trap"
    evil, name = ATTACKS[request.param](trap)
    return evil, name, trap


def refused(path: Path) -> str:
    with pytest.raises(ForbiddenGlobalError) as caught:
        unpickle.load(path, allowlist.allowed())
    assert caught.value.reason is Reason.FORBIDDEN_GLOBAL
    assert caught.value.name in caught.value.message
    return caught.value.name


def test_an_evil_pickle_stays_harmless_and_its_global_is_named(attack, tmp_path):
    evil, name, trap = attack
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(evil))
    assert refused(path) == name
    assert not trap.exists()


def test_getattr_reaches_nothing(tmp_path):
    # Written by hand, as pickle writes no modules: getattr(posixpath.os, "system")("touch …").
    trap, path = tmp_path / "trap", tmp_path / "model.pkl"
    path.write_bytes(b"cbuiltins\ngetattr\n(cposixpath\nos\nVsystem\ntR(V" + f"touch {trap}".encode() + b"\ntR.")
    assert refused(path) == "builtins.getattr"
    assert not trap.exists()


@pytest.mark.parametrize("compress", [0, 3, "lzma"], ids=str)
def test_an_evil_joblib_file_stays_harmless_and_its_global_is_named(attack, tmp_path, compress):
    evil, name, trap = attack
    path = tmp_path / "model.joblib"
    joblib.dump(evil, path, compress=compress)
    assert refused(path) == name
    assert not trap.exists()


def test_the_traps_do_spring_without_the_gate(tmp_path):
    """Otherwise the tests above would prove nothing."""
    trap = tmp_path / "trap"
    evil, _ = ATTACKS["os.system"](trap)
    joblib.dump(np.array([evil], dtype=object), tmp_path / "m.joblib", compress=3)
    joblib.load(tmp_path / "m.joblib")
    assert trap.exists()


def test_a_name_with_dots_does_not_reach_through_an_allowed_class(tmp_path):
    # STACK_GLOBAL takes dotted names: sklearn.pipeline "Pipeline.__init__.__globals__"
    module, name = b"sklearn.pipeline", b"Pipeline.__init__.__globals__.keys"
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04" + b"".join(b"\x8c%c%s" % (len(part), part) for part in (module, name)) + b"\x93)R.")
    assert refused(path) == "sklearn.pipeline.Pipeline.__init__.__globals__.keys"


def test_extension_codes_are_refused(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x02\x82\x01.")
    with pytest.raises(ModelError):
        unpickle.load(path, allowlist.allowed())


def test_persistent_ids_are_refused(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(b"Pname\n.")
    with pytest.raises(ModelError) as caught:
        unpickle.load(path, allowlist.allowed())
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED


def test_joblib_before_0_10_is_refused(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(b"ZF" + b"0" * 100)
    with (
        pytest.warns(DeprecationWarning, match="generated with a joblib version"),
        pytest.raises(ModelError, match=r"joblib before 0\.10"),
    ):
        unpickle.load(path, allowlist.allowed())


def test_a_name_can_be_allowed_in_addition(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(io.BytesIO))
    with pytest.raises(ForbiddenGlobalError, match=r"_io\.BytesIO"):
        unpickle.load(path, allowlist.allowed())
    assert unpickle.load(path, allowlist.allowed() | {"_io.BytesIO"}) is io.BytesIO


def test_arrays_of_objects_in_joblib_files_are_read(tmp_path):
    path = tmp_path / "m.joblib"
    joblib.dump({"classes": np.array(["a", "b"], dtype=object)}, path, compress=3)
    assert unpickle.load(path, allowlist.allowed())["classes"].tolist() == ["a", "b"]


def test_a_joblib_file_under_another_suffix_is_read(tmp_path):
    forest = RandomForestClassifier(5, random_state=0).fit(iris().rows, iris().labels)
    joblib.dump(forest, tmp_path / "model.pkl")
    loaded = unpickle.load(tmp_path / "model.pkl", allowlist.allowed())
    assert np.array_equal(loaded.predict_proba(iris().rows), forest.predict_proba(iris().rows))
