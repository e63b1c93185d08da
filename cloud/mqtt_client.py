"""Makes paho read messages, and send PUBACKs, at a fraction of its usual cost."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import PUBACK, Client
from paho.mqtt.enums import MQTTErrorCode

from cloud.mqtt_publish import Publish, PublishReader, puback

__all__ = ["MessageClient"]

_AT_ONCE_BYTES = 65_536


class MessageClient(Client):
    """A client that reads messages by itself, and sends many PUBACKs at once.

    paho asks the kernel four times for each message, makes a dozen objects of it, and writes each
    PUBACK by a call of its own. A message costs a third without that.

    Args:
        on_publish_packet: Called with each message, on paho's thread.
        args: Arguments of paho's client, as `options`.
    """

    def __init__(
        self, on_publish_packet: Callable[[Publish], None], *args: Any, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._on_publish_packet = on_publish_packet
        self._reader = PublishReader()
        self._due: list[int] = []  # messages whose PUBACK was not given to paho yet
        self._due_lock = threading.Lock()
        self._received = b""
        self._begin = 0  # of the bytes that paho has not taken yet
        self._may_ask = True

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Handles all packets that one call of the kernel returns; keeps no bytes for later.

        `select` says nothing about bytes that this object has taken from the socket already. paho
        keeps the begin of an incomplete packet.
        """
        self._may_ask = True
        while True:
            code = super().loop_read(max_packets)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._begin >= len(self._received):
                return code

    def answer(self, packet_id: int) -> None:
        """Sends the PUBACK of a message, together with others; from any thread."""
        with self._due_lock:
            self._due.append(packet_id)
            first = len(self._due) == 1
        if first and self._sockpairW is not None:
            with contextlib.suppress(OSError):  # full: paho will wake; closed: it has ended
                self._sockpairW.send(b"0")

    def _packet_write(self) -> MQTTErrorCode:
        with self._due_lock:
            due, self._due = self._due, []
        if due:
            self._packet_queue(PUBACK, puback(due), 0, 0)
        return super()._packet_write()

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._begin >= len(self._received):
            if not self._may_ask:
                raise BlockingIOError
            self._may_ask = False
            self._received, self._begin = self._other_packets(), 0
        end = self._begin + bufsize
        taken = self._received[self._begin : end]
        self._begin = end
        return taken

    def _other_packets(self) -> bytes:
        """Returns the packets that are no messages; empty if the connection has ended.

        Raises:
            BlockingIOError: There are none.
        """
        received = super()._sock_recv(_AT_ONCE_BYTES)
        messages, others = self._reader.take(received)
        for message in messages:
            self._on_publish_packet(message)
        if received and not others:
            raise BlockingIOError
        return others
