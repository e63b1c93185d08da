"""Checks side by side: each has its own limit, none holds up another, none is lost."""

import threading
import time

import pytest

from cloud.errors import ProjectionError
from cloud.health.finding import Check, Finding, State, healthy, not_configured
from cloud.health.parallel_checks import look_at


def finding(name, state=State.OK):
    return Finding(check=name, state=state, found="f", expected="e")


def check(name, look, limit_s=5.0):
    return Check(name=name, expected="e", remedy="r", limit_s=limit_s, look=look)


def test_findings_come_in_the_order_of_the_checks():
    def slow():
        time.sleep(0.2)
        yield finding("slow")
        yield finding("slow too")

    found = look_at([check("slow", slow), check("quick", lambda: [finding("quick")])])
    assert [f.check for f in found] == ["slow", "slow too", "quick"]


def test_a_dead_server_holds_up_nobody():
    gate = threading.Event()

    def dead():
        yield finding("half")
        gate.wait()

    began_s = time.monotonic()
    checks = [check(str(n), dead, limit_s=2.0) for n in range(3)]
    found = look_at([*checks, check("alive", lambda: [finding("alive")])])
    assert time.monotonic() - began_s < 5  # one after another: 6 s
    assert [f.state for f in found] == [*[State.OK, State.FAILED] * 3, State.OK]
    assert found[1].found == "no answer within 2 s"
    assert found[1].remedy == "r"
    gate.set()


def test_an_error_is_a_finding_with_what_to_do():
    def refused():
        yield finding("first")
        raise ProjectionError("es: no answer")

    first, found = look_at([check("search", refused)])
    assert first.check == "first"
    assert (found.state, found.found, found.remedy) == (State.FAILED, "es: no answer", "r")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_check_itself_is_no_success():
    def broken():
        raise ZeroDivisionError

    (found,) = look_at([check("x", broken)])
    assert found.state is State.FAILED
    assert "crashed" in found.found


def test_only_what_failed_is_not_healthy():
    missing = not_configured("search", "search")
    assert healthy([finding("a"), finding("b", State.WARNING), missing])
    assert not healthy([finding("a"), finding("b", State.FAILED)])
