"""Processor time counts what this process and its children spend, ended or not."""

import subprocess
import sys

from deploy.local.spent import cpu_s

_SPIN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n{}"


def test_a_child_that_has_ended_counts():
    before = cpu_s()
    subprocess.run([sys.executable, "-c", _SPIN.format(0.5, "")], check=True)
    assert cpu_s() - before >= 0.4


def test_a_child_that_still_runs_counts(wait_until):
    before = cpu_s()
    program = _SPIN.format(0.5, "input()")
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        wait_until(lambda: cpu_s() - before >= 0.4)
        child.communicate(b"\n")
    assert child.returncode == 0
