"""The clients that people have work unmodified."""

from pathlib import Path

import numpy as np

from support.inference_servers import run_client
from support.models import iris

CLIENTS = Path(__file__).parent / "clients"
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)
LABELS = iris().estimator.predict(ROWS).tolist()
SHARES = iris().estimator.predict_proba(ROWS)


def test_tritonclient_works_over_http_and_grpc(our_iris):
    addresses = (f"127.0.0.1:{our_iris.http_port}", f"127.0.0.1:{our_iris.grpc_port}")
    seen = run_client("triton", CLIENTS / "triton_client.py", *addresses)
    for protocol, number in (("http", 4), ("grpc", 2)):
        got = seen[protocol]
        assert (got["live"], got["ready"]) == (True, [True, True, True])
        assert (got["inputs"], got["index"]) == (["X"], ["iris"])
        assert len(got["answers"]) == number
        for index, answer in enumerate(got["answers"]):
            assert answer["label"] == (LABELS if index % 2 == 0 else None)
            assert np.abs(answer["probabilities"] - SHARES).max() < 1e-5
        assert 'the model has no input "Y"; it has X' in got["refused"]["name"]
        assert 'model "other" is not served here' in got["refused"]["model"]


def test_kserves_clients_work_over_v1_v2_and_grpc(our_iris):
    seen = run_client("kserve", CLIENTS / "kserve_client.py", our_iris.url, f"127.0.0.1:{our_iris.grpc_port}")
    assert [row["label"] for row in seen["rest"]["v1"]["predictions"]] == LABELS
    assert seen["rest"]["v1 ready"] is True
    assert seen["rest"]["v2 ready"] == [True, True, True]
    assert seen["grpc"]["ready"] == [True, True, True]
    answers = [
        seen["rest"]["v2 binary=False"],
        seen["rest"]["v2 binary=True"],
        seen["grpc"]["lists"],
        seen["grpc"]["raw"],
    ]
    for answer in answers:
        assert answer["id"] == "q1"
        assert answer["outputs"]["label"] == LABELS
        assert np.abs(answer["outputs"]["probabilities"] - SHARES).max() < 1e-5
