"""Runs a gateway process on virtual time; the parent process moves it from mark to mark.

    python -m deploy.local.virtual_gateway --config FILE --start-ms MS --mark-ms MS

The process runs `edge.gateway.run` with a `VirtualClock`; all else is the same as on a real
gateway. Standard output gets the trace (one line of JSON per committed block), and `{"mark": MS}`
when the clock waits at a mark. A line with the next mark on standard input moves the clock on.
`stop` or the end of the input stops the gateway cleanly.
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
    """Runs the gateway until `stop`."""
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
        print(f"deploy.local.virtual_gateway: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
