"""Decides which connections the API keeps: limits for one address, for all, and time limits.

A connection that has not sent a whole request costs its sender nothing. So if there are too many,
the oldest of them is closed, and a new one is accepted. A gateway needs a connection for less than
a second, so it gets its answer even if others keep every place busy. This module opens no sockets.
"""

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Admission", "Limits", "Place", "network_of"]

_SUMMARY_S = 60.0  # time between two log lines about closed connections
_IPV6_NETWORK_BITS = 64  # a host gets a whole network of this size

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the API's connections.

    Attributes:
        connections: Largest number of connections.
        connections_per_address: Largest number of connections from one address.
        request_s: Longest time until a connection has sent a whole request, TLS included, seconds.
        transfer_s: Longest time of one answer, seconds.
    """

    connections: int
    connections_per_address: int
    request_s: float
    transfer_s: float


@dataclass(slots=True, eq=False)
class Place:
    """One accepted connection.

    Attributes:
        network: Address of the client, as `network_of` returns it.
        close: Closes the connection at once.
        until_s: Instant at which the connection is closed, on the clock of `Admission`.
        answering: Whether a request is being answered.
    """

    network: str
    close: Callable[[], object]
    until_s: float
    answering: bool = False


class Admission:
    """The accepted connections.

    Args:
        limits: Numbers and times.
        clock: Clock in seconds that never goes back.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._places: dict[Place, None] = {}  # oldest first
        self._by_network: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()  # since the last summary
        self._summary_at_s = clock()

    def __len__(self) -> int:
        return len(self._places)

    def admit(self, address: str, close: Callable[[], object]) -> Place | None:
        """Returns the place of a new connection; None if the connection must be closed.

        Args:
            address: The client's IP address.
            close: Closes the connection at once; may be replaced in the place.
        """
        network = network_of(address)
        if not self._fits(network):
            self._closed[network] += 1
            return None
        place = Place(network, close, self._clock() + self._limits.request_s)
        self._places[place] = None
        self._by_network[network] += 1
        return place

    def begin(self, place: Place) -> None:
        """Notes that the place's request is being answered."""
        place.answering = True
        place.until_s = self._clock() + self._limits.transfer_s

    def end(self, place: Place, *, unsent: bool) -> None:
        """Notes that the answer is complete; the place waits for its next request.

        Args:
            place: The place.
            unsent: Whether bytes of the answer are not sent yet; its time limit stays.
        """
        place.answering = False
        if not unsent:
            place.until_s = self._clock() + self._limits.request_s
        if place in self._places:  # as if it were new
            del self._places[place]
            self._places[place] = None

    def leave(self, place: Place) -> None:
        """Frees the place; a repeated call has no effect."""
        if place in self._places:
            del self._places[place]
            self._by_network -= Counter({place.network: 1})

    def expire(self) -> None:
        """Closes connections that exceeded their time, and logs a summary; call it repeatedly."""
        now_s = self._clock()
        for place in [place for place in self._places if place.until_s <= now_s]:
            self._close(place)
        if self._closed and now_s >= self._summary_at_s:
            self._summary_at_s = now_s + _SUMMARY_S
            self._log_summary()

    def _fits(self, network: str) -> bool:
        """Returns whether a connection may be added; closes an idle one if that is necessary."""
        if self._by_network[network] >= self._limits.connections_per_address:
            return self._displace(p for p in self._places if p.network == network)
        if len(self._places) < self._limits.connections:
            return True
        waiting = Counter(place.network for place in self._places if not place.answering)
        most = max(waiting.values(), default=0)
        return self._displace(p for p in self._places if waiting[p.network] == most)

    def _displace(self, candidates: Iterable[Place]) -> bool:
        oldest = next((place for place in candidates if not place.answering), None)
        if oldest is None:
            return False
        self._close(oldest)
        return True

    def _close(self, place: Place) -> None:
        self._closed[place.network] += 1
        self.leave(place)
        place.close()

    def _log_summary(self) -> None:
        network, count = self._closed.most_common(1)[0]
        _log.warning(
            "api: closed %d connections, because they sent no whole request in time, were too many "
            "or read too slowly; %d of them came from %s. A firewall can limit this address",
            self._closed.total(),
            count,
            network,
        )
        self._closed.clear()


def network_of(address: str) -> str:
    """Returns the address to which limits apply: an IPv4 address, or a /64 network of IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
