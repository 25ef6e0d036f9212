"""`modelway convert`, `modelway pack`, and conversion by `modelway fetch`."""

import hashlib
import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

from modelway.cli import main
from support.models import iris


def run(*arguments, environ=None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environ)


@pytest.fixture
def pickled(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(iris().estimator))
    return path


def test_a_conversion_tells_how_well_the_two_agree(pickled, tmp_path):
    ended = run("convert", pickled, tmp_path / "to", "--code", "AllowList")
    assert ended.exit_code == 0, ended.output
    assert "compared: 512 rows, largest difference" in ended.output
    assert "512 of 512 labels equal" in ended.output
    assert "left out: decision_function" in ended.output
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["model.onnx", "modelway.json"]


def test_a_conversion_that_differs_has_an_exit_code_of_its_own(pickled, tmp_path):
    ended = run("convert", pickled, tmp_path / "to", "--code", "AllowList", "--tolerance", "0")
    assert ended.exit_code == 3
    assert ended.stderr.startswith("ParityFailed: the converted model answers otherwise than the original: predict")
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.parametrize("command", [["convert"], ["pack", "--rows", "x.csv", "-o"]], ids=["convert", "pack"])
def test_a_pickle_is_refused_without_its_policy(pickled, tmp_path, command):
    ended = run(*command[:1], pickled, *command[1:], tmp_path / "to")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("CodeRefused: model.pkl")
    assert "Traceback" not in ended.output


def test_packing_prints_the_digest_for_the_spec(pickled, tmp_path):
    (tmp_path / "rows.csv").write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n6.0,3.0,5.0,1.8\n")
    options = ["--code", "AllowList", "--version", "17", "--training-time-from-file"]
    ended = run("pack", pickled, "--rows", tmp_path / "rows.csv", "-o", tmp_path / "to", *options)
    assert ended.exit_code == 0, ended.output
    printed = run("digest", tmp_path / "to").output.strip()
    assert f"digest: {printed}" in ended.output
    assert "golden requests: 2, answered right" in ended.output
    said = json.loads((tmp_path / "to" / "modelway.json").read_text())
    assert (said["version"], said["featureNames"]) == ("17", ["a", "b", "c", "d"])
    assert "trainingTime" in said


class TestFetch:
    @pytest.fixture
    def fetched(self, tmp_path):
        """Fetch and convert a file; gives the ended command and its last words."""

        def fetch(source, *options):
            (tmp_path / "to").mkdir(exist_ok=True)
            words = tmp_path / "words"
            ended = run(
                "fetch", f"--uri=file://{source}", f"--to={tmp_path / 'source'}",
                "--convert=ONNX", f"--convert-to={tmp_path / 'to'}", *options,
                environ={"MODELWAY_TERMINATION_LOG": str(words), "MODELWAY_LOG_FORMAT": "json"},
            )  # fmt: skip
            return ended, json.loads(words.read_text())

        return fetch

    def test_the_digest_is_the_sources_and_the_folder_holds_what_is_served(self, fetched, pickled, tmp_path):
        ended, words = fetched(pickled, "--code=AllowList")
        assert ended.exit_code == 0, ended.output
        assert words["digest"] == f"sha256:{hashlib.sha256(pickled.read_bytes()).hexdigest()}"
        assert words["converted"].startswith("512 rows, largest difference")
        assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["model.onnx", "modelway.json"]

    def test_what_a_killed_run_has_left_is_cleared_away(self, fetched, pickled, tmp_path):
        (tmp_path / "to" / ".modelway-unfinished").mkdir(parents=True)
        (tmp_path / "to" / "model.onnx").write_text("half")
        ended, _ = fetched(pickled, "--code=AllowList")
        assert ended.exit_code == 0
        assert (tmp_path / "to" / "model.onnx").stat().st_size > 500

    def test_the_policy_for_pickles_holds_here_too(self, fetched, pickled):
        ended, words = fetched(pickled)
        assert (ended.exit_code, words["reason"]) == (1, "CodeRefused")

    def test_what_has_no_onnx_form_is_told(self, fetched, tmp_path):
        (tmp_path / "model.onnx").write_bytes(iris().onnx)
        ended, words = fetched(tmp_path / "model.onnx")
        assert (ended.exit_code, words["reason"]) == (1, "ConversionFailed")
        assert words["message"] == "model.onnx is an ONNX model already; serve it as it is"

    def test_a_conversion_that_differs_is_refused_with_the_row(self, fetched, tmp_path, monkeypatch):
        import onnx
        from onnx import numpy_helper

        from modelway.packing.sklearn_export import SklearnExporter

        def sabotaged(self, precision, export=SklearnExporter.export):
            model = export(self, precision)
            for one in (*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute)):
                if one.data_type in {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}:
                    one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one) * 2, one.name))
            for node in model.graph.node:
                for attribute in node.attribute:
                    attribute.floats[:] = [number * 2 for number in attribute.floats]
            return model

        monkeypatch.setattr(SklearnExporter, "export", sabotaged)
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(LogisticRegression().fit(np.eye(2), [0, 1])))
        ended, words = fetched(path, "--code=AllowList")
        assert (ended.exit_code, words["reason"]) == (1, "ParityFailed")
        assert "where the original has" in words["message"]

    def test_both_options_or_none(self, pickled, tmp_path):
        ended = run("fetch", f"--uri=file://{pickled}", f"--to={tmp_path / 's'}", "--convert=ONNX")
        assert ended.exit_code == 2
        assert "--convert and --convert-to go together" in ended.output
