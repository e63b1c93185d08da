"""The small version of `make proof-logstash`."""

import json
import os
import subprocess
import sys
from pathlib import Path

PROOF = Path(__file__).with_name("proof_logstash.py")
DOCUMENTS, BATCH = 20_000, 100


def test_every_answer_of_the_intake_loses_nothing_and_keeps_the_order():
    words = [sys.executable, str(PROOF), "--documents", str(DOCUMENTS), "--batch", str(BATCH)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    print(ended.stdout, ended.stderr)  # with the seed
    row = json.loads(ended.stdout.splitlines()[-1])
    assert (row["documents"], row["missing"], row["wrong"], row["out_of_order"]) == (
        20_000,
        0,
        0,
        0,
    )
    assert row["held_most"] == row["held_limit"] == BATCH
    assert row["repeated"] > 0  # else nothing was cut after it was taken
    assert min(row["answers"].values()) > 0
    assert ended.returncode == 0
