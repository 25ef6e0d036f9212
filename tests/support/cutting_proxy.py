"""A TCP proxy on loopback that breaks connections where a test says so: the bad line that downloads must survive."""

import contextlib
import socket
import threading
from collections.abc import Iterator

UNCUT = -1


class CuttingProxy:
    """Forwards connections to a server; the n-th one is cut after `budgets[n]` bytes of the answer.

    Connections beyond the list are not cut. `answered` holds how many bytes each one passed on.
    """

    def __init__(self, target_port: int, budgets: list[int]) -> None:
        self.answered: list[int] = []
        self._target_port = target_port
        self._budgets = list(budgets)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # shutdown wakes the thread that waits in accept; close alone would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                number = len(self.answered)
                self.answered.append(0)
            budget = self._budgets[number] if number < len(self._budgets) else UNCUT
            try:
                server = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answer, args=(server, client, number, budget), daemon=True).start()

    @staticmethod
    def _forward(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, number: int, budget: int) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if budget != UNCUT:
                    data = data[: budget - self.answered[number]]
                client.sendall(data)
                self.answered[number] += len(data)
                if budget != UNCUT and self.answered[number] >= budget:
                    break
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def cutting_proxy(target_port: int, budgets: list[int]) -> Iterator[CuttingProxy]:
    """A proxy for the length of a with block."""
    proxy = CuttingProxy(target_port, budgets)
    try:
        yield proxy
    finally:
        proxy.close()
