"""modelway's own application on uvicorn instead of its own connections: what those are worth (docs/adr/0008).

`uvicorn modelway_asgi:app`, in an environment that holds both. MODEL names the folder.
"""

import os
import time
from pathlib import Path
from typing import Any

from modelway.server.app import App
from modelway.server.exchange import Answer, HttpRequest
from modelway.server.loading import load
from modelway.server.options import ServerOptions

_OPTIONS = ServerOptions(model_dir=Path(os.environ["MODEL"]), name="m")
_APP = App(_OPTIONS)
_APP.serve(load(_OPTIONS))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """What an adapter from ASGI to the application has to do, and no more."""
    if scope["type"] != "http":
        return
    start = time.perf_counter()
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    request = HttpRequest(scope["method"], scope["path"], scope["query_string"], scope["headers"], body, start)
    reply = _APP.respond(request)
    answer = reply if isinstance(reply, Answer) else await reply
    headers = [(b"content-type", answer.content_type), (b"content-length", str(len(answer.body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in (answer.headers or {}).items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
