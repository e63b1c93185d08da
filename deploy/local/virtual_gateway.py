"""A gateway process on virtual time, moved from mark to mark by whoever holds its pipes.

    python -m deploy.local.virtual_gateway --config FILE --start-ms MS --mark-ms MS

It is `edge.gateway.run` with a `VirtualClock`; nothing else differs from a gateway in a cellar.
Standard output carries the trace (one line of JSON a committed block) and `{"mark": MS}` when the
clock waits; a line with the next mark on standard input moves it on, `stop` or the end of the input
stops it in order.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from contract.errors import DewlineError
from edge import gateway
from edge.clock import VirtualClock
from edge.configuration.config import load_config

__all__ = ["main"]


def _gate(mark_ms: int) -> int | None:
    print(json.dumps({"mark": mark_ms}), flush=True)
    line = sys.stdin.readline().strip()
    return int(line) if line.isdigit() else None


def main() -> int:
    """Runs until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--mark-ms", type=int, required=True)
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        config = load_config(args.config)
        clock = VirtualClock(args.start_ms, args.mark_ms, _gate)
        gateway.run(config, clock, gateway.Trace(sys.stdout.fileno()))
    except DewlineError as error:
        print(f"virtual gateway: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
