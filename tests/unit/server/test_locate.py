import json

import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.locate import locate

XGBOOST = b'{"learner":{"attributes":{}},"version":[3,2,0]}'
PFA = b'{"input": "double", "output": "double", "action": "input"}'
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\n"


@pytest.fixture
def folder(tmp_path):
    def make(*files: str | tuple[str, bytes], **metadata: object):
        for file in files:
            name, content = (file, b"") if isinstance(file, str) else file
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if metadata:
            (tmp_path / "modelway.json").write_text(json.dumps(metadata))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "metadata", "asked", "name", "format_name"),
    [
        (["m.onnx"], {}, None, "m.onnx", "onnx"),
        (["M.ONNX"], {}, None, "M.ONNX", "onnx"),
        (["m.pkl"], {}, None, "m.pkl", "sklearn"),
        (["m.pickle", "README.md"], {}, None, "m.pickle", "sklearn"),
        (["m.joblib"], {}, None, "m.joblib", "sklearn"),
        (["m.onnx", "m.pkl"], {"format": "sklearn"}, None, "m.pkl", "sklearn"),
        (["m.onnx", "m.pkl"], {"format": "sklearn"}, "onnx", "m.onnx", "onnx"),
        (["a.onnx", "b.onnx"], {"file": "b.onnx"}, None, "b.onnx", "onnx"),
        (["sub/m.onnx"], {"file": "sub/m.onnx"}, None, "m.onnx", "onnx"),
        (["model.bin"], {"format": "onnx"}, None, "model.bin", "onnx"),
        (["model.bin"], {}, "onnx", "model.bin", "onnx"),
        (["m.skops"], {}, None, "m.skops", "skops"),
        (["m.cbm"], {}, None, "m.cbm", "catboost"),
        (["m.ubj"], {}, None, "m.ubj", "xgboost"),
        (["m.pfa"], {}, None, "m.pfa", "pfa"),
        (["graph.nnef", "weights.dat"], {}, None, "graph.nnef", "nnef"),
        ([("m.json", XGBOOST)], {}, None, "m.json", "xgboost"),
        ([("m.json", b' {\n "version" : [3, 2, 0], "learner": {}}')], {}, None, "m.json", "xgboost"),
        ([("m.json", PFA)], {}, None, "m.json", "pfa"),
        ([("m.json", b'{"@": "a comment", "version": 3, ' + PFA[1:])], {}, None, "m.json", "pfa"),
        ([("m.json", XGBOOST), ("config.json", b'{"name": "a", "version": 1}')], {}, None, "m.json", "xgboost"),
        ([("m.txt", LIGHTGBM), ("README.txt", b"tree of life"), "requirements.txt"], {}, None, "m.txt", "lightgbm"),
        (["m.onnx", ("m.json", b'{"columns": []}'), "notes.txt"], {}, None, "m.onnx", "onnx"),
        (["m.json"], {"format": "xgboost"}, None, "m.json", "xgboost"),
        ([("a.json", PFA), ("b.json", XGBOOST)], {}, "pfa", "a.json", "pfa"),
    ],
)
def test_the_model_is_found(folder, files, metadata, asked, name, format_name):
    located = locate(folder(*files, **metadata), format_name=asked)
    assert (located.path.name, located.format) == (name, format_name)


def test_the_model_may_be_a_file(folder):
    located = locate(folder("m.onnx", "other.pkl") / "m.onnx")
    assert (located.path.name, located.format) == ("m.onnx", "onnx")


@pytest.mark.parametrize(
    ("files", "metadata", "asked", "reason", "said"),
    [
        ([], {}, None, Reason.MODEL_NOT_FOUND, "holds no file that could be a model"),
        ([], {"version": "1"}, None, Reason.MODEL_NOT_FOUND, "holds no file"),
        (["m.h5", "x.txt"], {}, None, Reason.FORMAT_UNKNOWN, "found m.h5, x.txt; set the format"),
        (["m.onnx"], {"format": "pmml"}, None, Reason.FORMAT_UNKNOWN, 'modelway.json says "pmml"'),
        (["m.onnx"], {"file": "x.bin"}, None, Reason.MODEL_NOT_FOUND, "names the file x.bin, which is not there"),
        (["m.onnx"], {"file": "../x.onnx"}, None, Reason.METADATA_INVALID, "outside the model's folder"),
        (["a.onnx", "b.onnx"], {}, None, Reason.FORMAT_AMBIGUOUS, "a.onnx, b.onnx; set the format, or `file` in"),
        (["a.onnx", "b.pkl"], {}, None, Reason.FORMAT_AMBIGUOUS, "a.onnx, b.pkl"),
        (["a.onnx", "b.onnx"], {}, "onnx", Reason.FORMAT_AMBIGUOUS, "several files"),
        (["a.pkl", "b.txt"], {}, "onnx", Reason.FORMAT_UNKNOWN, "no file has a suffix of the format onnx (.onnx)"),
        (["m.bin"], {"file": "m.bin"}, None, Reason.FORMAT_UNKNOWN, "m.bin"),
        (["m.json"], {}, None, Reason.FORMAT_AMBIGUOUS, "m.json may be of the format xgboost or pfa by its suffix"),
        ([("m.json", b'{"input": 1}')], {}, None, Reason.FORMAT_AMBIGUOUS, "its content shows none"),
        (["m.txt"], {}, None, Reason.FORMAT_AMBIGUOUS, "m.txt may be of the format lightgbm by its suffix"),
        ([("a.json", PFA), ("b.json", XGBOOST)], {}, None, Reason.FORMAT_AMBIGUOUS, "a.json, b.json"),
        (["a.json", "b.json"], {}, "pfa", Reason.FORMAT_AMBIGUOUS, "a.json, b.json"),
    ],
)
def test_nothing_is_guessed(folder, files, metadata, asked, reason, said):
    with pytest.raises(ModelError) as caught:
        locate(folder(*files, **metadata), format_name=asked)
    assert caught.value.reason is reason
    assert said in caught.value.message


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(ModelError, match="there is nothing at"):
        locate(tmp_path / "missing")


def test_what_is_found_says_where_its_format_is(folder):
    located = locate(folder("m.onnx"))
    assert located.entry.module == "modelway.server.formats.onnx"
    assert not located.entry.runs_code
