"""The broker answers for real: who gets in, and what each role's messages reach."""

import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from deploy.local.errors import ServerError
from deploy.local.mosquitto import BrokerAccount, Mosquitto

pytestmark = pytest.mark.broker

CONNACK_REFUSED = 5  # mosquitto_pub's exit code: not authorised


def publish(broker: Mosquitto, account: BrokerAccount, topic: str, text: str, *options: str) -> int:
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", *options]
    command += ["-u", account.name, "-P", account.password, "-t", topic, "-m", text]
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode


def retained(broker: Mosquitto, account: BrokerAccount, topic: str, *until: str) -> list[str]:
    """What the broker keeps for the account, until options of mosquitto_sub end the listening."""
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", *until]
    command += ["-u", account.name, "-P", account.password, "-t", topic]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    return done.stdout.splitlines()


@pytest.fixture
def heard(
    mosquitto: Mosquitto, tmp_path: Path, wait_until: Callable[..., None]
) -> Callable[..., list[str]]:
    """`heard(account, filter, publishing, until)`: what a subscriber got until its end mark."""

    def listen(
        account: BrokerAccount,
        topic: str,
        publishing: Callable[[], object],
        until: str,
        broker: Mosquitto = mosquitto,
    ) -> list[str]:
        # Line by line: into a file it would be written in blocks of 4 KiB.
        command = ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port)]
        command += ["-u", account.name, "-P", account.password, "-t", topic, "-q", "1", "-d"]
        log = tmp_path / f"{secrets.token_hex(4)}.log"
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as subscriber:
            try:
                wait_until(lambda: "SUBACK" in log.read_text())
                publishing()
                wait_until(lambda: until in log.read_text().splitlines())
            finally:
                subscriber.terminate()
        return [line for line in log.read_text().splitlines() if line.startswith("m-")]

    return listen


def test_a_device_reaches_ingest_only_below_its_own_name(
    mosquitto: Mosquitto,
    accounts: Mapping[str, BrokerAccount],
    heard: Callable[..., list[str]],
) -> None:
    one, two = accounts["gw-1"], accounts["gw-2"]

    def publishing() -> None:
        publish(mosquitto, one, "dewline/v1/gw-2/up/live", "m-forged")
        publish(mosquitto, one, "dewline/v1/gw-1/up/live", "m-own")
        publish(mosquitto, one, "dewline/v1/gw-1/presence", "m-not-up")
        publish(mosquitto, two, "dewline/v1/gw-2/up/live", "m-end")

    got = heard(accounts["ingest"], "dewline/v1/+/up/#", publishing, "m-end")
    assert got == ["m-own", "m-end"]


def test_ingest_answers_one_device_and_the_others_do_not_hear_it(
    mosquitto: Mosquitto,
    accounts: Mapping[str, BrokerAccount],
    heard: Callable[..., list[str]],
) -> None:
    ingest = accounts["ingest"]

    def publishing() -> None:
        publish(mosquitto, ingest, "dewline/v1/gw-2/down/ack", "m-for-two")
        publish(mosquitto, ingest, "dewline/v1/gw-1/down/ack", "m-for-one")

    # The filter is granted to everybody; what is delivered is what the rules decide.
    got = heard(accounts["gw-1"], "dewline/v1/+/down/#", publishing, "m-for-one")
    assert got == ["m-for-one"]


def test_an_observer_hears_all_and_says_nothing(
    mosquitto: Mosquitto,
    accounts: Mapping[str, BrokerAccount],
    heard: Callable[..., list[str]],
) -> None:
    def publishing() -> None:
        publish(mosquitto, accounts["observer"], "dewline/v1/gw-3/up/live", "m-observer")
        publish(mosquitto, accounts["gw-3"], "dewline/v1/gw-3/presence", "m-presence")
        publish(mosquitto, accounts["gw-3"], "dewline/v1/gw-3/up/live", "m-up")
        publish(mosquitto, accounts["ingest"], "dewline/v1/gw-3/down/ack", "m-down")

    got = heard(accounts["observer"], "dewline/v1/gw-3/#", publishing, "m-down")
    assert got == ["m-presence", "m-up", "m-down"]


def test_rollout_writes_what_devices_should_run_and_nothing_else(
    stack_base: Path, heard: Callable[..., list[str]]
) -> None:
    rollout = BrokerAccount.generate("rollout", "rollout")
    observer = BrokerAccount.generate("observer", "observer")
    device = BrokerAccount.generate("gw-1", "device")
    broker = Mosquitto.start(stack_base, [rollout, observer, device])

    def end() -> None:
        publish(broker, device, "dewline/v1/gw-1/up/live", "m-end")

    refused = [
        "dewline/v1/gw-1/down/ack",
        "dewline/v1/gw-1/up/live",
        "dewline/v1/gw-1/presence",
        "dewline/v1/gw-1/down/desired/x",
        "dewline/v1/desired",
    ]
    try:
        for topic in refused:
            publish(broker, rollout, topic, "m-forged", "-r")
            publish(broker, device, "dewline/v1/gw-1/down/desired", "m-forged", "-r")
        assert publish(broker, rollout, "dewline/v1/gw-1/down/desired", "m-desired", "-r") == 0
        # what is kept comes before what is published after the subscription
        kept = heard(observer, "dewline/v1/#", end, "m-end", broker=broker)
        assert kept == ["m-desired", "m-end"]
        one = ("-C", "1", "-W", "10")
        assert retained(broker, device, "dewline/v1/gw-1/down/desired", *one) == ["m-desired"]
        assert retained(broker, rollout, "dewline/v1/#", "-W", "1") == []
    finally:
        broker.stop()


def test_strangers_and_wrong_passwords_are_refused(
    mosquitto: Mosquitto, accounts: Mapping[str, BrokerAccount]
) -> None:
    wrong = BrokerAccount(name="gw-1", password="not this one", role="device")
    stranger = BrokerAccount(name="gw-9", password="none", role="device")
    topic = "dewline/v1/gw-1/up/live"
    assert publish(mosquitto, wrong, topic, "x") == CONNACK_REFUSED
    assert publish(mosquitto, stranger, topic, "x") == CONNACK_REFUSED
    assert publish(mosquitto, accounts["gw-1"], topic, "x") == 0


def test_no_password_stands_in_a_file_or_on_a_command_line(
    mosquitto: Mosquitto, accounts: Mapping[str, BrokerAccount]
) -> None:
    files = "".join(path.read_text() for path in mosquitto.base.iterdir() if path.is_file())
    command_line = Path(f"/proc/{mosquitto.pid}/cmdline").read_text()
    assert "gw-1:$" in files
    assert not any(a.password in files + command_line for a in accounts.values())
    assert (mosquitto.base / "passwords").stat().st_mode & 0o077 == 0


def test_restart_keeps_port_and_accounts_even_with_the_data_erased(
    stack_base: Path, processes_in: Callable[[Path], list[int]]
) -> None:
    account = BrokerAccount.generate("gw-1", "device")
    broker = Mosquitto.start(stack_base, [account])
    port, pid = broker.port, broker.pid
    (broker.base / "data" / "marker").touch()
    broker.kill()
    assert publish(broker, account, "dewline/v1/gw-1/presence", "x") != 0
    broker.restart()
    assert (broker.base / "data" / "marker").exists()
    broker.restart(erase=True)
    assert not (broker.base / "data" / "marker").exists()
    assert (broker.port, publish(broker, account, "dewline/v1/gw-1/presence", "x")) == (port, 0)
    assert broker.pid != pid
    broker.stop()
    assert processes_in(broker.base) == []


def test_a_taken_port_is_told_with_the_brokers_own_words(stack_base: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=r"(?s)mosquitto.*Address already in use"):
            Mosquitto.start(stack_base, [BrokerAccount.generate("gw-1", "device")], port)


@pytest.mark.parametrize(("name", "password"), [("Gw:1", "x"), ("../x", "x"), ("gw-1", "a\nb:c")])
def test_an_account_that_would_break_the_files_is_refused(
    stack_base: Path, name: str, password: str
) -> None:
    with pytest.raises(ServerError, match="broker account"):
        Mosquitto.start(stack_base, [BrokerAccount(name=name, password=password, role="device")])


def test_an_account_that_no_rule_knows_is_refused(stack_base: Path) -> None:
    with pytest.raises(ServerError, match="'gw-1': expected the name 'ingest'"):
        Mosquitto.start(stack_base, [BrokerAccount.generate("gw-1", "ingest")])


def test_the_tools_of_these_tests_are_there() -> None:
    assert shutil.which("mosquitto_sub")
