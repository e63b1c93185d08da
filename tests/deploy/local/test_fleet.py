"""A demo gateway: a real process on virtual time, moved by marks, watched by its observer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from contract.records import Kind
from deploy.local.certificates import Certificates
from deploy.local.errors import ServerError
from deploy.local.fleet import SITES, Gateway
from deploy.local.model_side import make_key
from deploy.local.weather import write_recordings
from edge.configuration.config import load_config

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.device)
def test_a_gateway_runs_from_mark_to_mark_and_says_what_it_committed(
    site, tmp_path: Path, certificates: Certificates, wait_until: Callable[..., None]
) -> None:
    make_key(tmp_path)
    _, first_ms, _ = write_recordings(tmp_path, NOW_MS)
    nobody = 1  # no broker there: everything stays in the outbox
    folder = tmp_path / site.device
    gateway = Gateway(
        site,
        folder,
        tmp_path / f"{site.device}.csv",
        certificates.device(site.device),
        (nobody, nobody),
        first_ms,
    )
    config = gateway.config_path
    config.write_text(config.read_text().replace("drain_s = 30.0", "drain_s = 0.1"))
    assert load_config(config).device_id == site.device
    gateway.start(first_ms + DAY_MS)
    try:
        wait_until(lambda: gateway.is_waiting(first_ms + DAY_MS), 30)
        day = gateway.observer.committed[Kind.READING]
        assert day == 25 * 3  # 06:00 to 06:00, temperature, humidity and pressure
        gateway.move_on(first_ms + 2 * DAY_MS)
        wait_until(lambda: gateway.is_waiting(first_ms + 2 * DAY_MS), 30)
        assert gateway.observer.committed[Kind.READING] == day + 24 * 3
        gateway.stop()
        gateway.wait_stopped(30)
    finally:
        gateway.kill()
    assert gateway.queued_kinds() == gateway.observer.committed
    assert gateway.queued().blocks == gateway.observer.blocks


def test_a_gateway_that_ends_early_is_told(
    tmp_path: Path, certificates: Certificates, wait_until: Callable[..., None]
) -> None:
    make_key(tmp_path)
    own = certificates.device("ewr")
    gateway = Gateway(SITES[0], tmp_path / "ewr", tmp_path / "nothing.csv", own, (1, 1), NOW_MS)
    gateway.start(NOW_MS + DAY_MS)

    def ended() -> bool:
        try:
            return gateway.is_waiting(NOW_MS + DAY_MS)
        except ServerError as error:
            return "ended unexpectedly" in str(error)

    wait_until(ended, 30)
    assert "nothing.csv" in (tmp_path / "ewr" / "log").read_text()
