"""Runs all of the demo's Spark work in one session; reads one request per line.

    python -m deploy.local.spark_side --config FILE

The process uses the same objects as `dewline-cloud transform`, `cycle` and `scoring`, but starts
only one session. The requests on standard input are `follow`, `scored`, `cycle MS` and `judge MS`.
Each answer is a line of JSON on standard output. `stop` or the end of the input stops the process
cleanly. All other output goes to standard error.
"""

import argparse
import json
import logging
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from cloud.commands.cycle import result_table
from cloud.composition.cycle import open_cycle
from cloud.composition.scoring import open_scoring
from cloud.composition.spark import private_session
from cloud.config import CloudConfig, load_config
from contract.errors import DewlineError

__all__ = ["main"]

_TRIGGER_S = 3.0


class _Work:
    """Executes requests."""

    def __init__(self, config: CloudConfig, spark: SparkSession) -> None:
        self._cycle = open_cycle(config, spark, _told)
        self._scoring = open_scoring(config, spark, trigger_s=_TRIGGER_S)

    def do(self, word: str, arguments: list[str]) -> dict[str, Any]:
        """Executes a request, and returns the answer."""
        if word in ("cycle", "judge"):
            result = self._cycle.run(int(arguments[0]), train=word == "cycle")
            return result_table(result)
        if word == "follow":
            self._scoring.start()
        elif word == "scored":
            self._scoring.process_available()
        else:
            raise ValueError(
                f"unknown request {word}; known requests: follow, scored, cycle, judge, stop"
            )
        return asdict(self._scoring.totals)

    def close(self) -> None:
        """Stops the stream of live scoring."""
        self._scoring.stop()


def _told(text: str) -> None:
    logging.getLogger("cycle").info("%s", text)


def _serve(config: CloudConfig, answers: int) -> None:
    with private_session(config) as spark:
        work = _Work(config, spark)
        _answer(answers, {"ready": True})
        for line in sys.stdin:
            word, *arguments = line.split()
            if word == "stop":
                break
            began_s = time.monotonic()
            try:
                found = work.do(word, arguments)
            except DewlineError as error:
                found = {"error": str(error)}
            _answer(answers, found | {"seconds": round(time.monotonic() - began_s, 2)})
        work.close()


def _answer(descriptor: int, table: dict[str, Any]) -> None:
    os.write(descriptor, (json.dumps(table) + "\n").encode())


def main() -> int:
    """Answers requests until `stop`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    for name in ("cloud", "cycle"):
        logging.getLogger(name).setLevel(logging.INFO)
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps output of libraries out of answers
    try:
        _serve(load_config(args.config), answers)
    except DewlineError as error:
        print(f"deploy.local.spark_side: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
