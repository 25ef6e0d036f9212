"""One request and its answer, put together from what a router sends of them piece by piece.

Bounded: a body has at most so many bytes, and all bodies that are being read at most so many together; what is beyond
is not read on, and said to be so.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from modelway.observer import ext_proc_pb2 as pb

_REFUSALS: Final = frozenset({400, 422})
"""Statuses by which servers say that a request is not what the model takes."""
_PLAIN: Final = frozenset({"", "identity"})


class Unread(StrEnum):
    """Why a request and its answer were not read."""

    TOO_LARGE = "TooLarge"
    ENCODED = "Encoded"
    BUSY = "Busy"
    CUT = "Cut"
    NO_JSON = "NoJSON"
    NO_ROWS = "NoRows"
    NO_COLUMNS = "NoColumns"
    NO_PREDICTION = "NoPrediction"


@dataclass(slots=True)
class Room:
    """Bytes of bodies that are being read, of all exchanges together.

    Args:
        limit: most of them.
        taken: how many there are.

    """

    limit: int
    taken: int = 0


class Exchange:
    """A request and its answer.

    Args:
        most: bytes of a body.
        room: shared with all other exchanges; given back by `close`.

    """

    __slots__ = ("_length", "_most", "_room", "_taken", "answer", "is_over", "request", "status", "unread")

    def __init__(self, most: int, room: Room) -> None:
        self._most = most
        self._room = room
        self._taken = 0
        self._length = most + 1  # of the answer; longer than it can be while it is not told
        self.request = b""
        self.answer = b""
        self.status = 0
        self.unread: Unread | None = None
        self.is_over = False
        """Whether there is nothing more to be read: it is complete, or not of interest."""

    @property
    def is_answered(self) -> bool:
        """Whether the request was answered, to the answer's end."""
        return self.is_over and self.unread is None and 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """Whether it was not what the model takes."""
        return self.is_over and self.status in _REFUSALS

    def take(self, message: pb.ProcessingRequest) -> None:
        """The next piece."""
        match message.WhichOneof("request"):
            case "request_headers":
                self._begin(message.request_headers)
            case "request_body":
                self.request += self._room_for(message.request_body.body, len(self.request))
            case "response_headers":
                self._answered(message.response_headers)
            case "response_body":
                self.answer += self._room_for(message.response_body.body, len(self.answer))
                # Its last piece is often empty, and need not be waited for.
                has_ended = message.response_body.end_of_stream or len(self.answer) >= self._length
                self.is_over = self.is_over or has_ended

    def close(self) -> None:
        """Nobody reads it any more."""
        if not self.is_over:
            self._give_up(Unread.CUT)
        self._room.taken -= self._taken
        self._taken = 0

    def _begin(self, headers: pb.HttpHeaders) -> None:
        told = _told(headers)
        if headers.end_of_stream:  # asks nothing
            self.is_over = True
        elif self._is_larger(told) or not told.get("content-length"):
            self._give_up(Unread.TOO_LARGE)
        elif told.get("content-encoding", "") not in _PLAIN:
            self._give_up(Unread.ENCODED)

    def _answered(self, headers: pb.HttpHeaders) -> None:
        told = _told(headers)
        status = told.get(":status", "")
        self.status = int(status) if status.isdecimal() else 0
        if not 200 <= self.status < 300:
            self.is_over = True
        elif self._is_larger(told):
            self._give_up(Unread.TOO_LARGE)
        elif told.get("content-encoding", "") not in _PLAIN:
            self._give_up(Unread.ENCODED)
        else:
            self.is_over = headers.end_of_stream
            length = told.get("content-length", "")
            self._length = int(length) if length.isdecimal() else self._length

    def _is_larger(self, told: dict[str, str]) -> bool:
        length = told.get("content-length", "")
        return length.isdecimal() and int(length[:18]) > self._most

    def _room_for(self, piece: bytes, there: int) -> bytes:
        """The piece, where there is room for it."""
        if there + len(piece) > self._most:
            self._give_up(Unread.TOO_LARGE)
        elif self._room.taken + len(piece) > self._room.limit:
            self._give_up(Unread.BUSY)
        else:
            self._room.taken += len(piece)
            self._taken += len(piece)
            return piece
        return b""

    def _give_up(self, why: Unread) -> None:
        self.unread = why
        self.is_over = True


def _told(headers: pb.HttpHeaders) -> dict[str, str]:
    return {one.key: one.raw_value.decode("latin-1") or one.value for one in headers.headers.headers}
