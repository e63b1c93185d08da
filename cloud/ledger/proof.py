"""Writes the proof: the ledger as a text that can be checked by hand. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from cloud.instants import shown_instant
from cloud.ledger.account import DeviceAccount, StreamAccount
from cloud.ledger.report import fork_text, stop_text, summary
from cloud.ledger.spans import Runs, count, shown
from cloud.ledger.tally import BlockLine

__all__ = ["block_list", "closing", "proof"]

_NAMED = 5  # devices in the verdict

_PREFACE = """\
Each stream numbers its records from 1. A range consists of its first and last number.
sha256 is the hash of lines `first last digest`, one for each block, each with a newline, sorted by
these three values. A digest is the first 16 hexadecimal digits of the sha256 of the payload.
`ledger proof --blocks` prints the lines, `lake export` writes the payloads."""


def proof(accounts: Sequence[DeviceAccount], as_of: int) -> Iterator[str]:
    """Returns the lines of the proof; the last line is the verdict."""
    yield f"Ledger of blocks received up to {shown_instant(as_of)}."
    yield from _PREFACE.splitlines()
    for device in accounts:
        yield ""
        yield f"device {device.device_id}"
        for stream in device.streams:
            yield from _stream(stream)
        for fork in device.forks:
            yield f"  {fork_text(fork)}"
        for stop in device.unclean_stops:
            yield f"  {stop_text(stop)}"
    yield ""
    totals = summary(accounts).totals
    yield (
        f"{totals.stored} stored, {totals.lost} declared lost, {totals.held} held by gateways, "
        f"in {totals.blocks} blocks; {totals.repeated} repeated deliveries, {totals.forks} forks, "
        f"{totals.unclean_stops} unclean stops"
    )
    yield closing(accounts)


def _stream(stream: StreamAccount) -> Iterator[str]:
    tally = stream.tally
    yield f"  stream {stream.stream_id}: numbers 1 to {stream.expected_last}"
    yield _runs("stored", stream.stored)
    if tally:
        yield f"    {'in':<12} {tally.blocks_total} blocks, {tally.payload_bytes} bytes"
        yield f"    {'sha256':<12} {tally.sha256}"
        yield f"    {'kinds':<12} {', '.join(f'{k.value} {n}' for k, n in tally.totals)}"
        if tally.first_at is not None:
            times = f"{shown_instant(tally.first_at)} to {shown_instant(tally.last_at)}"
            yield f"    {'times':<12} {times}"
        if tally.repeated_total:
            yield f"    {'repeated':<12} {tally.repeated_total} deliveries"
    for name, runs in (("lost", stream.lost), ("held", stream.held)):
        if runs:
            yield _runs(name, runs)
    yield _runs("unexplained", stream.unexplained)
    if tally and tally.doubled:
        yield _runs("doubled", tally.doubled)
        for c in tally.conflicts:
            yield f"      {shown((c.numbers,))}: {c.winner} was received first, not {c.loser}"


def _runs(name: str, runs: Runs) -> str:
    return f"    {name:<12} {count(runs)}: {shown(runs)}"


def closing(accounts: Sequence[DeviceAccount]) -> str:
    """Returns the verdict, such as `0 unexplained, 0 doubled`; names the devices of a bad one."""
    totals = summary(accounts).totals
    verdict = f"{totals.unexplained} unexplained, {totals.doubled} doubled"
    whose = [device.device_id for device in accounts if not summary([device]).sound]
    shown = ", ".join(whose[:_NAMED])
    more = len(whose) - _NAMED
    shown = f"{shown} and {more} more devices" if more > 0 else shown
    return f"{verdict}: {shown}" if shown else verdict


def block_list(lines: Iterable[BlockLine]) -> Iterator[str]:
    """Returns the lines of each stream's sha256, after a heading for each stream."""
    stream: tuple[str, str] | None = None
    for line in lines:
        if stream != (line.device_id, line.stream_id):
            stream = (line.device_id, line.stream_id)
            yield f"# {line.device_id} {line.stream_id}"
        yield str(line)
