"""Ending a server under load, as Kubernetes does it: nobody may lose a request."""

import asyncio
import json
import signal
import time

from support.load import Clients
from support.models import iris
from support.server_process import server_process

BODY = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]]}).encode()


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 the clients have no event to wait for
            await asyncio.sleep(0.01)


async def test_no_request_is_lost_when_a_server_is_drained(model_folder):
    folder = model_folder(iris().onnx)
    with (
        server_process("--model-dir", folder, "--name", "iris", "--drain", "2s") as leaving,
        server_process("--model-dir", folder, "--name", "iris", "--drain", "60s") as staying,
        leaving.client() as probe,
    ):
        for server in (leaving, staying):
            server.wait_until_ready()
        clients = Clients([leaving.port, staying.port], "/v1/models/iris:predict", BODY)

        async def story():
            await until(lambda: clients.outcomes["200"] > 200)
            leaving.process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            await asyncio.to_thread(leaving.wait_for_event, "draining")
            assert (await asyncio.to_thread(probe.get, "/v2/health/live")).status_code == 200
            assert (await asyncio.to_thread(probe.get, "/v2/health/ready")).status_code == 503
            # Endpoints and proxies learn of it late. Half of the connections are its; those that it ends may come again.
            await until(lambda: clients.closed_by_server >= 10)
            clients.ports.remove(leaving.port)
            assert await asyncio.to_thread(leaving.wait) == 0
            assert time.monotonic() - begin >= 2
            answered = clients.outcomes["200"]
            await until(lambda: clients.outcomes["200"] > answered + 200)

        await clients.run(20, story)
        staying.process.send_signal(signal.SIGTERM)
        staying.wait_for_event("draining")
        staying.process.send_signal(signal.SIGTERM)  # somebody is in a hurry
        assert staying.wait() == 0
    assert clients.outcomes.keys() == {"200"}
