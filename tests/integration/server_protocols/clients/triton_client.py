"""tritonclient against a server with the model iris: prints what it got, as JSON. Arguments: HTTP and gRPC address."""

import json
import sys

import numpy as np
import tritonclient.grpc
import tritonclient.http

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)


def ask(module, address):
    client = module.InferenceServerClient(address)
    over_http = module is tritonclient.http
    answers = []
    for binary in (True, False) if over_http else (None,):
        options = {"binary_data": binary} if over_http else {}
        given = module.InferInput("X", list(ROWS.shape), "FP32")
        given.set_data_from_numpy(ROWS, **options)
        for outputs in (None, [module.InferRequestedOutput("probabilities", **options)]):
            got = client.infer("iris", [given], request_id="q1", outputs=outputs, model_version="1")
            label, shares = got.as_numpy("label"), got.as_numpy("probabilities")
            answers.append({"label": None if label is None else label.tolist(), "probabilities": shares.tolist()})
    refused = {}
    for case, (name, model) in {"name": ("Y", "iris"), "model": ("X", "other")}.items():
        given = module.InferInput(name, list(ROWS.shape), "FP32")
        given.set_data_from_numpy(ROWS)
        try:
            client.infer(model, [given])
            refused[case] = None
        except tritonclient.utils.InferenceServerException as error:
            refused[case] = error.message()
    index = client.get_model_repository_index()
    return {
        "live": client.is_server_live(),
        "ready": [client.is_server_ready(), client.is_model_ready("iris"), client.is_model_ready("iris", "1")],
        "inputs": [
            tensor["name"] if over_http else tensor.name
            for tensor in (client.get_model_metadata("iris")["inputs"] if over_http else metadata_inputs(client))
        ],
        "index": [entry["name"] for entry in index] if over_http else [entry.name for entry in index.models],
        "answers": answers,
        "refused": refused,
    }


def metadata_inputs(client):
    return client.get_model_metadata("iris").inputs


print(json.dumps({"http": ask(tritonclient.http, sys.argv[1]), "grpc": ask(tritonclient.grpc, sys.argv[2])}))
