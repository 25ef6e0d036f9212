"""The gRPC server: `inference.GRPCInferenceService` and the standard health service, beside the HTTP port.

Lives in the event loop of the HTTP server and answers from the same `Service`: the same engine, limits, metrics and
words. A prediction's bytes are decoded and its answer encoded by the engine, so a large one occupies a thread and not
the loop. Errors are gRPC's status codes with HTTP's messages.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from modelway import __version__
from modelway.api.names import HEADER_PAIR
from modelway.server import descriptions
from modelway.server.errors import RequestError
from modelway.server.exchange import Answer
from modelway.server.options import ServerOptions
from modelway.server.rpc import inference_pb2 as pb
from modelway.server.rpc import messages
from modelway.server.rpc.port import opened
from modelway.server.service import Phase, Service

SERVICE: Final = "inference.GRPCInferenceService"
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_HAND_OVER: Final = 0.05  # seconds within which a call that the library has taken is a task
_Context = aio.ServicerContext[Any, Any]


@contextlib.asynccontextmanager
async def listening(service: Service, options: ServerOptions, *, share_port: bool = False) -> AsyncIterator[int]:
    """A gRPC server for the length of a block; gives its port. At the end, what is in flight is answered.

    Args:
        service: what is served.
        options: `host`, `grpc_port`, `max_body`; and `timeout`, for which the end waits at most.
        share_port: whether other processes may listen on the port as well.

    Raises ModelError when the port cannot be opened.

    """
    server, port = opened(
        options.host,
        options.grpc_port,
        share=share_port,
        max_receive_message_length=options.max_body,
        max_send_message_length=-1,
    )
    health, calls = HealthServicer(), _Calls()
    server.add_generic_rpc_handlers((_handlers(service, calls),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await server.start()
    try:
        async with _told(health, service):
            yield port
    finally:
        await _end(server, calls, options.timeout)


class _Calls:
    """Calls whose answers are not on their way yet; those that watch the health are not among them."""

    def __init__(self) -> None:
        self._open = 0
        self._none = asyncio.Event()
        self._none.set()

    def enter(self, context: _Context) -> None:
        """Count a call until it is over for its client."""
        self._open += 1
        self._none.clear()
        context.add_done_callback(self._leave)  # type: ignore[arg-type]  # any function will do; the stubs want a class

    def _leave(self, _context: _Context) -> None:
        self._open -= 1
        if not self._open:
            self._none.set()

    async def over(self) -> None:
        """Wait until there is none, nor one that was taken and is about to be handed over."""
        while True:
            await self._none.wait()
            await asyncio.sleep(_HAND_OVER)
            if not self._open:
                return


async def _end(server: aio.Server, calls: _Calls, grace: float) -> None:
    """Take no more calls, wait for those in flight, then end what would go on for ever: who watches the health."""
    ending = asyncio.ensure_future(server.stop(grace))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(calls.over(), grace)
    await server.stop(None)
    await ending


@contextlib.asynccontextmanager
async def _told(health: HealthServicer, service: Service) -> AsyncIterator[None]:
    """Keep the health service's answers in step with the phase."""

    async def tell(phase: Phase) -> None:
        serving = health_pb2.HealthCheckResponse.SERVING
        status = serving if phase is Phase.READY else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            await health.set(name, status)

    await tell(service.phase)
    with service.watched(tell):
        yield


def _handlers(service: Service, calls: _Calls) -> grpc.GenericRpcHandler:
    methods = {
        "ServerLive": _plain(_server_live, pb.ServerLiveRequest, service),
        "ServerReady": _plain(_server_ready, pb.ServerReadyRequest, service),
        "ModelReady": _plain(_model_ready, pb.ModelReadyRequest, service),
        "ServerMetadata": _plain(_server_metadata, pb.ServerMetadataRequest, service),
        "ModelMetadata": _plain(_model_metadata, pb.ModelMetadataRequest, service),
        "RepositoryIndex": _plain(_index, pb.RepositoryIndexRequest, service),
        # No (de)serializer: bytes come in and go out, so that the engine chooses where they are decoded.
        "ModelInfer": grpc.unary_unary_rpc_method_handler(partial(_infer, service, calls)),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _plain(answer: Callable[[Service, Any], Any], request: Any, service: Service) -> "grpc.RpcMethodHandler[Any, Any]":
    """A method that only tells something."""

    async def method(message: Any, context: _Context) -> Any:
        try:
            return answer(service, message)
        except RequestError as error:
            service.metrics.count("other", error.status)
            await _abort(context, error.status, error.message)

    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request.FromString, response_serializer=_serialized
    )


async def _infer(service: Service, calls: _Calls, body: bytes, context: _Context) -> bytes:
    calls.enter(context)
    parse = partial(messages.parse, name=service.options.name, version=service.version)
    reply = service.begin(
        "grpc", parse, messages.render, body=body, start=time.perf_counter(), tell=_tell, pair=_pair(context)
    )
    answer = reply if isinstance(reply, Answer) else await reply
    if answer.status != 200:
        await _abort(context, answer.status, answer.body.decode())
    if answer.headers:
        context.set_trailing_metadata(tuple(answer.headers.items()))
    return answer.body


def _pair(context: _Context) -> bytes | None:
    """The request's id where it was mirrored."""
    sent = dict(context.invocation_metadata() or ())
    if sent.get(HEADER_PAIR) != "1":
        return None
    identity = sent.get("x-request-id")
    return identity.encode() if isinstance(identity, str) else identity


def _tell(error: RequestError) -> Answer:
    return Answer(error.status, error.message.encode())


async def _abort(context: _Context, status: int, message: str) -> None:
    await context.abort(_CODES.get(status, grpc.StatusCode.UNKNOWN), message)


def _serialized(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


def _server_live(service: Service, _message: Any) -> pb.ServerLiveResponse:
    return pb.ServerLiveResponse(live=service.is_alive)


def _server_ready(service: Service, _message: Any) -> pb.ServerReadyResponse:
    return pb.ServerReadyResponse(ready=service.is_ready)


def _model_ready(service: Service, message: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
    messages.check_model(message.name, message.version, name=service.options.name, version=service.version)
    return pb.ModelReadyResponse(ready=service.is_ready)


def _server_metadata(_service: Service, _message: Any) -> pb.ServerMetadataResponse:
    return pb.ServerMetadataResponse(name="modelway", version=__version__, extensions=descriptions.SERVER_EXTENSIONS)


def _model_metadata(service: Service, message: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
    name, version = service.options.name, service.version
    messages.check_model(message.name, message.version, name=name, version=version)
    described = descriptions.v2_metadata(service.loaded.model, name=name, version=version)
    return pb.ModelMetadataResponse(
        name=name,
        versions=described.get("versions", ()),
        platform=described["platform"],
        inputs=[pb.ModelMetadataResponse.TensorMetadata(**tensor) for tensor in described["inputs"]],
        outputs=[pb.ModelMetadataResponse.TensorMetadata(**tensor) for tensor in described["outputs"]],
        properties=described.get("parameters", {}),
    )


def _index(service: Service, message: pb.RepositoryIndexRequest) -> pb.RepositoryIndexResponse:
    ready = service.is_ready
    entry = descriptions.v2_index(name=service.options.name, version=service.version, ready=ready)
    models = [pb.RepositoryIndexResponse.ModelIndex(**entry)] if ready or not message.ready else []
    return pb.RepositoryIndexResponse(models=models)
