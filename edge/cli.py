"""Implements the command `dewline-gateway`: parses arguments, runs a verb, returns an exit code.

Exit codes: 0 success, 1 failure, 2 wrong usage or configuration.
"""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.errors import ConfigError, DewlineError
from edge import gateway
from edge.checking import check
from edge.clock import SystemClock
from edge.configuration.config import GatewayConfig, load_config
from edge.sensing.sampler import Sensor
from edge.storage.outbox import Outbox
from edge.supervisor import Supervisor, supervisor_of
from firmware_bridge.board import Sample
from firmware_bridge.errors import SensorError, SensorUnavailable

__all__ = ["build_parser", "main"]

_CONFIG = Path("/etc/dewline/gateway.toml")


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line; a test compares the docs with it."""
    parser = argparse.ArgumentParser(
        prog="dewline-gateway",
        description="Measures, raises alerts, stores readings and sends them to the cloud.",
        epilog="example: dewline-gateway check --config gateway.toml",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = _verb(verbs, "run", "measure until stopped by SIGTERM or SIGINT", _run)
    run.add_argument(
        "--trace-fd",
        type=int,
        help="file descriptor that receives one line of JSON after each commit",
    )
    _verb(verbs, "check", "check the configuration without using hardware or network", _check)
    read = _verb(verbs, "read", "read every sensor once and print the values", _read)
    outbox = _verb(verbs, "outbox", "show the blocks that wait to be sent", _outbox)
    for verb in (read, outbox):
        verb.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _verb(verbs: Any, name: str, text: str, action: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example: dewline-gateway {name} --config gateway.toml",
    )
    parser.add_argument("--config", type=Path, default=_CONFIG, help=f"default: {_CONFIG}")
    parser.set_defaults(action=action)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    args = build_parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        return int(args.action(args, load_config(args.config)))
    except ConfigError as error:
        print(f"dewline-gateway: {error}", file=sys.stderr)
        return 2
    except DewlineError as error:
        print(f"dewline-gateway: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, config: GatewayConfig) -> int:
    trace = None if args.trace_fd is None else _trace(args.trace_fd)
    clock = SystemClock(config.clock.floor_ms)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: clock.stop())
    supervisor = supervisor_of(os.environ, os.getpid())
    for remark in check(config) + _watched(config, supervisor):
        logging.getLogger(__name__).warning("%s", remark)
    gateway.run(config, clock, trace, supervisor)
    return 0


def _watched(config: GatewayConfig, supervisor: Supervisor) -> list[str]:
    rhythm_s = config.commit.effective_rhythm_s
    if supervisor.beat_s >= rhythm_s:
        return []
    often = f"every {supervisor.beat_s:g} s, not every {rhythm_s:g} s as configured"
    return [f"[commit]: WatchdogSec is short: blocks are committed {often}. Raise WatchdogSec"]


def _trace(descriptor: int) -> gateway.Trace:
    try:
        os.fstat(descriptor)
    except OSError as error:
        raise ConfigError(
            f"--trace-fd: file descriptor {descriptor} is not open: {error.strerror}"
        ) from error
    return gateway.Trace(descriptor)


def _check(args: argparse.Namespace, config: GatewayConfig) -> int:
    remarks = check(config)
    if config.uplink is not None and config.uplink.certificate_file is not None:
        remarks += _check_certificate(args, config.device_id, config.uplink.certificate_file)
    for remark in remarks:
        print(f"{args.config}: {remark}")
    if not remarks:
        sensors = ", ".join(f"{s.id} ({s.driver})" for s in config.sensor)
        print(f"{args.config}: {config.device_id}: no problems found; sensors: {sensors}")
    return 1 if remarks else 0


def _check_certificate(args: argparse.Namespace, device_id: str, path: str) -> list[str]:
    # Imported here so that only this verb loads cryptography.
    from edge.configuration.certificate import (  # noqa: PLC0415 - see above
        read_certificate,
        remarks_on,
        shown,
    )

    now = datetime.now(UTC)
    try:
        certificate = read_certificate(Path(path))
    except ConfigError:
        return []  # `check` has already reported this file
    print(f"{args.config}: {shown(certificate, now)}")
    where = f"[uplink] certificate_file: {path}"
    return [f"{where}: {remark}" for remark in remarks_on(certificate, device_id, now)]


def _read(args: argparse.Namespace, config: GatewayConfig) -> int:
    clock = SystemClock(config.clock.floor_ms)
    board = gateway.board_for(config, clock)
    failed = False
    try:
        for sensor in gateway.sensors_for(config, board, clock):
            failed |= not _read_one(sensor, clock, as_json=args.json)
    finally:
        board.close()
    return 1 if failed else 0


def _read_one(sensor: Sensor, clock: SystemClock, *, as_json: bool) -> bool:
    name = sensor.sensor_id
    try:
        sample = _read_when_ready(sensor, clock)
    except SensorError as error:
        print(json.dumps({"sensor": name, "error": str(error)}) if as_json else f"{name}: {error}")
        return False
    finally:
        sensor.close()
    for quantity, value in sample.values:
        unit = quantity.facts.unit
        row = {"sensor": name, "quantity": quantity, "value": value, "unit": unit}
        text = f"{name:<16} {quantity:<12} {value:>12.3f} {unit}"
        print(json.dumps(row) if as_json else text)
    return True


def _read_when_ready(sensor: Sensor, clock: SystemClock) -> Sample:
    """Returns one reading; if the chip is not ready yet, waits once and reads again."""
    try:
        return sensor.read()
    except SensorUnavailable as error:
        if error.ready_in_s is None:
            raise
        clock.sleep_s(error.ready_in_s)
        return sensor.read()


def _outbox(args: argparse.Namespace, config: GatewayConfig) -> int:
    path = Path(config.outbox.path)
    if not path.exists():
        raise ConfigError(
            f"[outbox] path: {path} does not exist. `dewline-gateway run` creates the file"
        )
    outbox = Outbox(path, durable=False, create=False)
    state, spans, end = outbox.state(), outbox.spans(1000), outbox.stream_end()
    outbox.close()
    if args.json:
        held = [{"stream_id": s.stream_id, "first": s.first, "last": s.last} for s in spans]
        print(json.dumps({"blocks": state.blocks, "bytes": state.payload_bytes, "held": held}))
        return 0
    print(f"{state.blocks} blocks, {state.payload_bytes} bytes wait for the cloud's ack")
    for span in spans:
        print(f"  {span.stream_id}  {span.first} to {span.last}")
    if end is not None:
        stopped = "stopped cleanly" if end.clean else "still running, or ended without a clean stop"
        print(f"stream {end.stream_id}: committed up to {end.last}; {stopped}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
