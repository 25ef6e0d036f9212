"""An application asked without a connection."""

import time

from modelway.server.exchange import Answer, HttpRequest


async def answered(app, request: HttpRequest) -> Answer:
    """Its answer, now, soon or later."""
    reply = app.respond(request)
    return reply if isinstance(reply, Answer) else await reply


async def answer_to(app, method, path, body=b"", *, query=b"", **headers) -> Answer:
    """The same for a request of these parts; headers are written with underscores."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await answered(app, HttpRequest(method, path, query, named, body, time.perf_counter()))
