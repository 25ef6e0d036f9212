"""Ending a server under load, as Kubernetes does it: nobody may lose a request."""

import asyncio
import json
import signal
import time

from support.load import Clients
from support.models import iris
from support.server_process import server_process

BODY = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()


def health(server):
    with server.client() as client:
        return client.get("/v2/health/live").status_code, client.get("/v2/health/ready").status_code


async def test_no_request_is_lost_when_a_server_is_drained(model_folder):
    folder = model_folder(iris().onnx)
    arguments = ["--model-dir", folder, "--name", "iris", "--drain", "1s"]
    with server_process(*arguments) as leaving, server_process(*arguments) as staying:
        for server in (leaving, staying):
            server.wait_until_ready()
        clients = Clients([leaving.port, staying.port], "/v1/models/iris:predict", BODY)

        async def story():
            await asyncio.sleep(0.3)
            leaving.process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            await asyncio.to_thread(leaving.wait_for_event, "draining")
            assert await asyncio.to_thread(health, leaving) == (200, 503)
            # Endpoints and proxies learn of it late.
            await asyncio.sleep(0.4)
            clients.ports.remove(leaving.port)
            assert await asyncio.to_thread(leaving.wait) == 0
            assert 1.0 <= time.monotonic() - begin < 5
            await asyncio.sleep(0.2)

        await clients.run(40, story)
        staying.process.send_signal(signal.SIGTERM)
        staying.wait_for_event("draining")
        staying.process.send_signal(signal.SIGTERM)  # somebody is in a hurry
        assert staying.wait(deadline=5) == 0
    assert clients.outcomes.keys() == {"200"}
    assert clients.outcomes["200"] > 500
    assert clients.closed_by_server >= 20
