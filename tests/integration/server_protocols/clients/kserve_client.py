"""KServe's inference clients against a server with the model iris: prints what they got, as JSON.

Arguments: the HTTP server's URL, and the gRPC address.
"""

import asyncio
import json
import sys

import numpy as np
from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient, InferenceRESTClient, RESTConfig

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]], dtype=np.float32)


def request(*, binary):
    tensor = InferInput("X", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=binary)
    return InferRequest(model_name="iris", infer_inputs=[tensor], request_id="q1")


def shown(response):
    outputs = {output.name: output.as_numpy().reshape(output.shape).tolist() for output in response.outputs}
    return {"id": response.id, "outputs": outputs}


async def over_rest(url):
    answers = {}
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        rows = {"instances": ROWS.tolist()}
        answers["v1"] = await client.infer(url, rows, model_name="iris")
        answers["v1 ready"] = await client.is_model_ready(url, "iris")
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        for binary in (False, True):
            answer = await client.infer(url, request(binary=binary), model_name="iris")
            answers[f"v2 binary={binary}"] = shown(answer)
        answers["v2 ready"] = [
            await client.is_server_ready(url),
            await client.is_server_live(url),
            await client.is_model_ready(url, "iris"),
        ]
    return answers


async def over_grpc(address):
    async with InferenceGRPCClient(address) as client:
        return {
            "lists": shown(await client.infer(request(binary=False))),
            "raw": shown(await client.infer(request(binary=True))),
            "ready": [
                await client.is_server_ready(),
                await client.is_server_live(),
                await client.is_model_ready("iris"),
            ],
        }


async def main():
    print(json.dumps({"rest": await over_rest(sys.argv[1]), "grpc": await over_grpc(sys.argv[2])}))


asyncio.run(main())
