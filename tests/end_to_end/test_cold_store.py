"""The example of `docs/cold-store.md` as written: from a logger's file to a bundle on a gateway.

Only ports, account, database, jars and paths of certificates are replaced. The logger's year is
made by `tests/end_to_end/cold_store.py`.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cloud.warehouse.engine import connect
from cloud.warehouse.model_tables import DECISIONS
from cloud.warehouse.tables import FACTS
from contract.errors import ConfigError
from contract.records import Kind
from deploy.local.artifacts import spark_jars
from deploy.local.processes import free_ports
from edge.bundles.slot_store import SlotStore
from tests.end_to_end.cold_store import write_year

pytestmark = [pytest.mark.broker, pytest.mark.services, pytest.mark.spark]

PAGE = Path(__file__).parents[2] / "docs" / "cold-store.md"
BLOCK = re.compile(r"```(toml|csv|sh)\n(.*?)```", re.DOTALL)
NAMED = re.compile(r"`([a-z-]+\.(?:toml|csv))`")
ENDLESS = ("ingest run", "rollout run", "api serve", "dewline-gateway run")


def blocks() -> Iterator[tuple[str, str, str]]:
    """Language, text and the file that the sentence before the block names."""
    page, end = PAGE.read_text(encoding="utf-8"), 0
    for block in BLOCK.finditer(page):
        names = NAMED.findall(page[end : block.start()])
        yield block[1], block[2], names[0] if names else ""
        end = block.end()


def files() -> dict[str, str]:
    return {name: text for language, text, name in blocks() if language != "sh"}


def commands() -> list[str]:
    return [line for language, text, _ in blocks() if language == "sh" for line in text.split("\n")]


@pytest.fixture
def site(tmp_path, own_database, tls_broker, certificates):
    """The page's files in a folder, for the servers of this run."""
    try:
        jars = json.dumps([str(jar) for jar in spark_jars()])
    except ConfigError as error:
        pytest.skip(str(error))
    url, (api_port,) = own_database, free_ports(1)
    replaced = {
        "8884": str(tls_broker.services_port),
        "8883": str(tls_broker.devices_port),
        "8443": str(api_port),
        'port = 3306\nuser = "dewline"': (
            f'port = {url.port}\nuser = "{url.username}"\ndatabase = "{url.database}"'
        ),
        "jars = []": f"jars = {jars}",
    }
    for name, text in files().items():
        (tmp_path / name).write_text(_with(text, replaced), encoding="utf-8")
    (tmp_path / "warehouse.password").write_text(url.password)
    _certify(tmp_path / "certificates", certificates)
    return tmp_path, url


def _with(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def _certify(folder: Path, certificates) -> None:
    folder.mkdir()
    issued = {
        "ingest": certificates.service("ingest"),
        "rollout": certificates.service("rollout"),
        "localhost": certificates.server("localhost"),
        "cold-store": certificates.keep(
            "cold-store",
            certificates.authority.issue_device("cold-store", datetime.now(UTC), days=300),
        ),
    }
    for stem, made in issued.items():
        (folder / f"{stem}.pem").symlink_to(made.certificate)
        (folder / f"{stem}.key").symlink_to(made.key)
    for name in ("ca.pem", "crl.pem"):
        (folder / name).symlink_to(certificates.ca.with_name(name))


def words_of(line: str) -> list[str]:
    program, *words = shlex.split(line.partition(">")[0])
    return [str(Path(sys.executable).with_name(program)), *words]


def call(folder: Path, line: str) -> str:
    done = subprocess.run(words_of(line), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    target = line.partition(">")[2].strip()
    if target:
        (folder / target).write_text(done.stdout)
    print(f"$ {line}\n{done.stdout}")
    return done.stdout


@contextmanager
def running(folder: Path, line: str) -> Iterator[None]:
    with (folder / "processes.log").open("ab") as log:
        process = subprocess.Popen(words_of(line), cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_from_the_loggers_file_to_a_bundle_on_the_gateway(site, wait_until):
    folder, url = site
    excerpt = files()["store.csv"]
    values = write_year(folder / "store.csv")
    assert (folder / "store.csv").read_text().startswith(excerpt)  # the page shows this year
    outputs: dict[str, str] = {}
    with ExitStack() as processes:
        for line in filter(None, commands()):
            if any(words in line for words in ENDLESS):
                processes.enter_context(running(folder, line))
            else:
                outputs[line] = call(folder, line)
        _bundle_arrives(folder, wait_until)
    _tables_are_right(url, values)
    (proof,) = [text for line, text in outputs.items() if line.endswith("ledger proof")]
    assert proof.endswith("0 unexplained, 0 doubled\n")
    (shown,) = [text for line, text in outputs.items() if "rollout show" in line]
    assert "cold-store" in shown
    (excursions,) = [text for line, text in outputs.items() if "excursions" in line]
    assert excursions.count("room-warm") > 5


def _bundle_arrives(folder: Path, wait_until) -> None:
    bundles = {path.stem for path in (folder / "registry" / "bundles").glob("*.dwb")}

    def is_installed() -> bool:
        slot = SlotStore(folder / "models").slot("room-warm")  # as its files are now
        return slot is not None and slot.current in bundles

    try:
        wait_until(is_installed, 120)
    except AssertionError:
        print((folder / "processes.log").read_text())
        raise


def _tables_are_right(url, values: int) -> None:
    engine = connect(url.render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            stored = connection.scalar(select(func.count()).select_from(FACTS[Kind.READING]))
            rows = connection.execute(select(DECISIONS)).mappings().all()
    finally:
        engine.dispose()
    assert stored == values - 4  # of the hour that the logger writes twice
    (decision,) = rows
    assert decision["condition_id"] == "room-warm"
    assert decision["event_weeks"] >= 8  # judged on imported weeks
    print(dict(decision))
