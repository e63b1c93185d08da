"""kill -9 of live scoring and of the cycle, driver JVM and workers included, at random moments.

Two sites get the same blocks. At one nobody disturbs anything; at the other each command is killed
five times while it works, and scoring once more when one of its stores is ahead of the other. The
database is killed twice while a cycle works: the cycle ends or waits, and another one repeats it.
In the end rows, summaries, documents and bundles of both must be the same, and no forecast may
stand twice.

Not among the tests that are collected: it takes minutes. Run it by name, with -s to read along;
DEWLINE_SEED repeats the draws.
"""

import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, make_url, select, text

from cloud.composition.servers import open_warehouse
from cloud.errors import ProjectionError
from cloud.lake.cursors import CursorStore
from cloud.lake.landing import LandingWriter
from cloud.lake.positions import LandedBlock
from cloud.lake.store import FolderStore
from cloud.scoring.offsets import available, covers
from cloud.search.client import SearchClient
from cloud.search.names import IndexNames
from cloud.search.query import Filter
from cloud.warehouse import aggregate_tables as summaries
from cloud.warehouse import model_tables as tables
from cloud.warehouse.engine import connect
from cloud.warehouse.tables import FACTS, STAGING
from contract.blocks import Block, SensorColumns, Series
from contract.quantities import Quantity
from contract.records import Kind
from contract.topics import Lane, up_topic
from deploy.local.artifacts import spark_jars
from deploy.local.cloud_side import CloudSide
from deploy.local.fleet import CONDITIONS
from deploy.local.model_side import make_key
from deploy.local.processes import Launch, PrivateServer
from deploy.local.weather import station_rows
from tests.builders import landed

pytestmark = [pytest.mark.services, pytest.mark.spark]

KILLS = 5
DATABASE_KILLS = 2
LIMIT_S = 900.0  # for anything that shall happen
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
STATIONS = ("ewr", "jfk")
FIRST, SECOND = "2013-04-01T00:00:00Z", "2013-07-01T00:00:00Z"
# Cut off from .. to, reconnected then: whole hours come late. Before them half hours came live, and
# completed steps; forecasts from them are none any more when the whole hours are there.
CUTS = (
    ("jfk", "2013-04-01", "2013-04-06"),
    ("ewr", "2013-05-04", "2013-05-10"),
    ("jfk", "2013-06-10", "2013-06-26"),
)
# What lands before each killed run. The last one is killed within a cut; what was held back lands
# before the next, so its batch is another one and not the same again.
SLICES = ("2013-04-12", "2013-04-27", "2013-05-12", "2013-05-26", "2013-06-08", "2013-06-21")

RESULTS = (
    *(tables.TRUTH, tables.CLOUD_PREDICTIONS, tables.OUTCOMES, tables.MODELS),
    *(tables.MODEL_ALIASES, tables.DECISIONS, tables.CANDIDATES, tables.MONITORING),
    *(tables.RELIABILITY, tables.DESIRED, FACTS[Kind.READING]),
    *(summaries.HOURS, summaries.DAYS, summaries.CONDITION_HOURS, summaries.CONDITION_DAYS),
    *(summaries.EXCURSIONS, summaries.DIM_DEVICES, summaries.DIM_SENSORS),
)
# Empty in the end, or without rows for this recording.
OTHERS = (tables.QUALITY_SPANS, summaries.MINUTES, summaries.DUE, *STAGING.values())
FORECASTS = tables.CLOUD_PREDICTIONS

CONFIG = """\
[lake]
root = "{folder}/lake"
grace_s = 2.0
period = "month"
[search]
url = "{search}"
prefix = "{name}"
[warehouse]
port = {url.port}
user = "{url.username}"
password_file = "{folder}/password"
database = "dewline_{name}"
[spark]
jars = {jars}
[registry]
folder = "{folder}/registry"
signing_key = "{key}/signing.pem"
[fleet]
conditions_file = "{conditions}"
"""


def _ms(day):
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


# what gateways sent


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A landing file to be."""

    received_at: int
    lane: Lane
    blocks: tuple[LandedBlock, ...]


class Sender:
    """Blocks of one station: a day each, records numbered in the order of the calls."""

    def __init__(self, station):
        self.station = station
        self._first = Counter()

    def block(self, rows, received_at, lane, *, stream="a", past_ms=0):
        at_ms = [row[0] + past_ms for row in rows]
        air = self._columns(
            "air",
            {Quantity.TEMPERATURE: (2, [r[1] for r in rows])}
            | {Quantity.HUMIDITY: (1, [r[2] for r in rows])},
            at_ms,
        )
        known = [] if past_ms else [row for row in rows if row[3]]
        pressure = {Quantity.PRESSURE: (0, [r[3] for r in known])}
        barometer = self._columns("barometer", pressure, [r[0] for r in known])
        block = Block(
            stream_id=stream * 13,
            first=self._first[stream] + 1,
            offset_ms=at_ms[0] - _ms("2013-01-01"),
            utc_at=at_ms[0],
            sensors=(air, barometer) if known else (air,),
        )
        self._first[stream] = block.last
        return self.landed(block, received_at, lane)

    def landed(self, block, received_at, lane):
        return landed(block, self.station, received_at=received_at, lane=lane)

    @staticmethod
    def _columns(sensor_id, series, at_ms):
        return SensorColumns(
            sensor_id=sensor_id,
            series=tuple(Series(quantity, decimals) for quantity, (decimals, _) in series.items()),
            offsets_ms=tuple(at - _ms("2013-01-01") for at in at_ms),
            columns=tuple(
                tuple(round(float(value) * 10**decimals) for value in values)
                for decimals, values in series.values()
            ),
        )


def _sent(station):
    """Every block of a station as (lane, block); what a cut held back comes shuffled."""
    sender, draw, held, last = Sender(station), random.Random(2013), {}, None
    rows = [row for row in station_rows(station) if row[0] < _ms("2013-07-01")]
    for day, of_day in groupby(rows, key=lambda row: row[0] // DAY_MS * DAY_MS):
        own, end = list(of_day), day + DAY_MS - 1
        back_at = [_ms(to) for s, since, to in CUTS if s == station and _ms(since) <= day < _ms(to)]
        if not back_at:
            last = sender.block(own, end, Lane.LIVE)
            yield Lane.LIVE, last
            continue
        yield Lane.LIVE, sender.block(own, end, Lane.LIVE, stream="b", past_ms=HOUR_MS // 2)
        late = held.setdefault(back_at[0], [] if last is None else [last])  # the last once more
        late.append(sender.block(own, back_at[0], Lane.BACKFILL))
    for back_at, blocks in held.items():
        for n, block in enumerate(draw.sample(blocks, len(blocks))):
            topic = up_topic(station, Lane.BACKFILL)
            yield Lane.BACKFILL, replace(block, received_at=back_at + 1000 * n, topic=topic)


def _commits():
    """Every landing file in the order of receipt: a week each at first, then a day each."""
    blocks = [sent for station in STATIONS for sent in _sent(station)]

    def file_of(sent):
        lane, block = sent
        day = block.received_at // DAY_MS
        late = block.received_at if lane is Lane.BACKFILL else 0
        return (day // 7 * 7 if block.received_at < _ms("2013-03-25") else day, lane, late)

    for (_, lane, _), found in groupby(sorted(blocks, key=file_of), key=file_of):
        landed = tuple(sorted((b for _, b in found), key=lambda b: (b.received_at, b.device_id)))
        yield Commit(received_at=landed[0].received_at, lane=lane, blocks=landed)


# a site


class Site:
    """A lake, a database, indices, a registry, and the commands of the cloud on them."""

    def __init__(self, name, base, database, elasticsearch):
        self.name, self.folder = name, base / name
        (self.folder / "lake").mkdir(parents=True)
        url = make_url(database.url)
        (self.folder / "password").write_text(url.password)
        server = connect(database.url)
        with server.begin() as connection:
            connection.execute(text(f"CREATE DATABASE dewline_{name}"))
        server.dispose()
        config = self.folder / "cloud.toml"
        jars = json.dumps([str(jar) for jar in spark_jars()])
        config.write_text(
            CONFIG.format(
                folder=self.folder,
                name=name,
                url=url,
                key=base,
                jars=jars,
                search=elasticsearch.url,
                conditions=CONDITIONS,
            )
        )
        self.cloud = CloudSide(config, self.folder)
        self.cloud.call("warehouse", "migrate")
        self.engine = open_warehouse(self.cloud.config)
        self.client = SearchClient(elasticsearch.url)
        self.names = IndexNames(name, self.cloud.config.lake.period)
        self.store = FolderStore(self.folder / "lake")
        self._writer = LandingWriter(self.store, "node-1", f"{_ms('2013-01-01'):013d}-0000abcd")
        self._runs = 0

    def close(self):
        self.engine.dispose()
        self.client.close()

    def land(self, commits):
        for commit in commits:
            self._writer.commit(commit.lane, commit.blocks)

    def run(self, *words):
        self._runs += 1
        return Run(self.cloud.config_path, self.folder / f"run-{self._runs}", words)

    def fold(self):
        self.cloud.call("lake", "fold")

    @property
    def scored(self):
        """Files that scoring has passed."""
        return sum(CursorStore(self.store, "scoring").load().passed.values())

    def all_scored(self):
        return covers(CursorStore(self.store, "scoring").load(), available(self.store))

    def counts(self):
        with self.engine.connect() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table))
                for table in RESULTS
            }

    def told(self):
        """What was decided at the last cycle."""
        at = tables.DECISIONS.c
        last = select(func.max(at.cycle_at)).scalar_subquery()
        query = select(at.condition_id, at.decision).where(at.cycle_at == last)
        with self.engine.connect() as connection:
            return ", ".join(f"{name} {what}" for name, what in connection.execute(query))

    def phase(self, run, as_of):
        """How far a cycle is: 0 tables and history, then a number for each condition, then 4."""
        if "steps from readings version" not in run.log:
            return 0
        at = tables.DECISIONS.c
        query = select(func.count()).where(at.cycle_at == _ms(as_of))
        with self.engine.connect() as connection:
            return 1 + connection.scalar(query)

    def half_hours_apart(self):
        """Whether one of index and table has forecasts from half hours that the other lacks."""
        alias, stream_id = self.names.forecasts, "b" * 13
        query = select(func.count()).where(FORECASTS.c.stream_id == stream_id)
        try:
            self.client.refresh([alias])
            documents = self.client.count(alias, Filter(terms=(("stream_id", stream_id),)))
        except ProjectionError:  # an index is being made
            return False
        with self.engine.connect() as connection:
            return documents != connection.scalar(query)

    def rows(self, table):
        with self.engine.connect() as connection:
            return sorted((tuple(row) for row in connection.execute(table.select())), key=repr)

    def forecasts(self):
        """What stands in the table, by the id of its document."""
        with self.engine.connect() as connection:
            rows = connection.execute(FORECASTS.select()).all()
        key = [column.name for column in FORECASTS.primary_key]
        return {":".join(str(getattr(row, name)) for name in key): row._asdict() for row in rows}

    def documents(self):
        """Every document by index and id, without the site's own name."""
        self.client.refresh([self.names.forecasts])
        found = {}
        for device in STATIONS:
            for condition in ("condensation", "damp", "frost"):
                terms = (("device_id", device), ("condition_id", condition))
                hits = self.client.find(
                    [self.names.forecasts], Filter(terms=terms), limit=10_000, after_seq=0
                )
                assert len(hits) < 10_000
                names = [(hit.index.removeprefix(self.name), hit.id) for hit in hits]
                found |= zip(names, (hit.fields for hit in hits), strict=True)
        return found

    def bundles(self):
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / "registry").rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }


class Run:
    """A command with Spark, in a session and with temporary files of its own, seen from outside."""

    def __init__(self, config, folder, words):
        self._words, self.folder = " ".join(words), folder
        (folder / "tmp").mkdir(parents=True)
        environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1"}
        self._server = PrivateServer(
            Launch(
                name=self._words,
                command=(sys.executable, "-m", "cloud.cli", "--config", str(config), *words),
                folder=folder,
                logs=(),
                answers=lambda: True,
                environment=environment,
                user="",
            ),
            port=0,
        )
        self._server.spawn()

    @property
    def running(self):
        return self._server.running

    @property
    def log(self):
        return (self.folder / "output.log").read_text(errors="replace")

    def spark_is_up(self):
        return any((self.folder / "tmp").glob("dewline-spark-*/local/*"))

    def wait(self, begun):
        """Until a condition holds; the instant, s."""
        deadline_s = time.monotonic() + LIMIT_S
        while not begun():
            assert self.running, f"{self._words}: {self.log}"
            assert time.monotonic() < deadline_s, f"{self._words}: {self.log}"
            time.sleep(0.05)
        return time.monotonic()

    @property
    def batches(self):
        """How many Spark has begun and ended, by its checkpoint."""
        place = "dewline-scoring-*/{}/[0-9]*"
        return tuple(
            len(list((self.folder / "tmp").glob(place.format(part))))
            for part in ("offsets", "commits")
        )

    def wait_done(self, word):
        """Waits for its end; its last line, in which that word stands unless it failed."""
        deadline_s = time.monotonic() + LIMIT_S
        while self.running:
            assert time.monotonic() < deadline_s, f"{self._words}: {self.log}"
            time.sleep(0.05)
        last = self.log.splitlines()[-1]
        assert word in last, f"{self._words}: {self.log}"
        return last

    def kill(self):
        """kill -9: at one stroke the group (Python, JVM), then the workers, who have their own.

        Returns:
            Whether it was still running.
        """
        was_running = self.running
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(self._server.pid, signal.SIGKILL)
        deadline_s = time.monotonic() + 30
        while alive := _session(self._server.pid):
            assert time.monotonic() < deadline_s, f"{alive} live on"
            for pid in alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self.stop()
        return was_running

    def stop(self):
        self._server.stop()


def _session(leader):
    """Pids of a session's processes; the dead that nobody has reaped yet do not count."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:  # it has ended meanwhile
                continue
            if int(session) == leader and state != "Z":
                found.append(int(entry.name))
    return found


# the two lives

BEGUN_S = time.monotonic()


def _say(site, line):
    print(f"{time.monotonic() - BEGUN_S:6.1f} s  {site.name}: {line}", flush=True)


def _score(site, *words):
    """Scores what there is, undisturbed; how long that took, s."""
    run = site.run("scoring", "once", *words)
    try:
        begun_s = run.wait(lambda: run.batches[0] > 0)
        done = run.wait_done("forecasts")
        took_s = time.monotonic() - begun_s
    finally:
        run.stop()
    _say(site, f"scoring once in {took_s:.1f} s: {done}")
    return took_s


def _cycle(site, as_of):
    """A cycle, undisturbed; how long each of its phases took, s."""
    run, begun_s = site.run("cycle", "run", "--as-of", as_of), {}
    try:
        run.wait(run.spark_is_up)
        while run.running:
            begun_s.setdefault(site.phase(run, as_of), time.monotonic())
            time.sleep(0.05)
        run.wait_done("devices with a new desired state")
    finally:
        run.stop()
    marks = [begun_s[n] for n in sorted(begun_s)] + [time.monotonic()]
    took_s = [end - begin for begin, end in pairwise(marks)]
    _say(site, f"cycle of {as_of[:10]}: {', '.join(f'{s:.1f}' for s in took_s)} s; {site.told()}")
    return took_s


class Killer:
    """Starts commands and kills them."""

    def __init__(self, site, draw):
        self._site, self._draw = site, draw
        self.batches = self.cycles = 0  # that were cut off

    def scoring(self, limit_s):
        """Kills a stream in one of its first batches, or when it has nothing to do.

        Args:
            limit_s: The latest moment after the batch's begin.
        """
        batch, moment_s = self._draw.randint(1, 3), self._draw.uniform(0, limit_s)
        files = self._draw.randint(4, 10)
        run = self._site.run("scoring", "run", "--every", "0.5", "--files", str(files))
        try:
            run.wait(lambda: run.batches[0] >= batch or self._site.all_scored())
            begun_s = time.monotonic()
            while time.monotonic() < begun_s + moment_s and not self._site.all_scored():
                time.sleep(0.05)
        finally:
            run.kill()
        self._tell(run, f"{moment_s:.2f} s into batch {batch} of {files} files")

    def scoring_between_stores(self):
        """Kills a stream that has written forecasts from half hours to one store and not both."""
        run = self._site.run("scoring", "run", "--files", "1000")
        try:
            run.wait(lambda: self._site.half_hours_apart() or self._site.all_scored())
        finally:
            run.kill()
        self._tell(run, "where one store is ahead of the other")
        assert self._apart() > 0, "it was too quick for this"

    def _tell(self, run, drawn):
        begun, ended = run.batches
        self.batches += begun > ended
        where = f"in batch {begun}" if begun > ended else f"after batch {ended}"
        _say(
            self._site,
            f"scoring killed {where} (drawn: {drawn}): {self._site.scored} files passed, "
            f"{len(self._site.forecasts())} rows, {self._apart()} in one store alone",
        )

    def _apart(self):
        return len({name for _, name in self._site.documents()} ^ set(self._site.forecasts()))

    def _into_phase(self, run, phase, moment_s):
        """Waits until a cycle is so far into a phase, or has ended."""
        run.wait(run.spark_is_up)
        run.wait(lambda: self._site.phase(run, SECOND) >= phase)
        begun_s = time.monotonic()
        while run.running and time.monotonic() < begun_s + moment_s:
            time.sleep(0.01)

    def database(self, server, phase, limit_s):
        """Kills the database while a cycle works, and starts it again; True if it worked."""
        moment_s = self._draw.uniform(0, limit_s)
        run = self._site.run("cycle", "run", "--as-of", SECOND)
        try:
            self._into_phase(run, phase, moment_s)
            worked = run.running
            server.kill()
            server.restart()
            last = run.wait_done("")
        finally:
            run.stop()
        assert "Traceback" not in run.log, run.log
        _say(self._site, f"database killed {moment_s:.2f} s into phase {phase}; cycle: {last}")
        return worked

    def cycle(self, phase, limit_s, wanted):
        """Kills a cycle at a random moment of a phase; False if it ended before."""
        moment_s = self._draw.uniform(0, limit_s)
        run = self._site.run("cycle", "run", "--as-of", SECOND)
        try:
            self._into_phase(run, phase, moment_s)
        finally:
            killed = run.kill()
        counts = self._site.counts()
        unlike = [f"{name} {counts[name]}/{n}" for name, n in wanted.items() if counts[name] != n]
        self.cycles += killed and bool(unlike)
        _say(
            self._site,
            f"cycle {'killed' if killed else 'ended before'} {moment_s:.2f} s into phase {phase} "
            f"(of {limit_s:.1f}); rows unlike in the end: {', '.join(unlike) or 'none'}",
        )
        return killed


def _killed_scoring(site, commits, killer, scoring_s):
    ends = [_ms(day) for day in SLICES]
    slices = [[c for c in commits if sum(c.received_at >= e for e in ends) == n] for n in range(7)]
    for n in range(KILLS):
        site.land(slices[n])
        killer.scoring(scoring_s / 5)
    site.land(slices[KILLS])
    killer.scoring_between_stores()
    site.land(slices[KILLS + 1])
    _score(site)
    site.fold()


def _killed_cycles(site, server, killer, phases_s, wanted):
    for n in range(DATABASE_KILLS):
        assert killer.database(server, n, phases_s[n] / 2)
    for n in range(KILLS):
        limit_s = phases_s[n]
        while not killer.cycle(n, limit_s, wanted):
            limit_s /= 2
    _cycle(site, SECOND)


def _differences(quiet, killed):
    """What is not the same at both sites, in words; empty if nothing is."""
    found = []
    for table in (*RESULTS, *OTHERS):
        ours, theirs = quiet.rows(table), killed.rows(table)
        if ours != theirs:
            only = [row for row in ours if row not in set(theirs)][:2]
            others = [row for row in theirs if row not in set(ours)][:2]
            found.append(f"{table.name}: {len(ours)}, {len(theirs)} rows: {only} {others}")
    ours, theirs = quiet.documents(), killed.documents()
    if ours != theirs:
        unlike = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
        found.append(f"documents: {len(ours)}, {len(theirs)}: {len(unlike)} unlike: {unlike[:3]}")
    if quiet.bundles() != killed.bundles():
        found.append(f"bundles: {quiet.bundles()}\n{killed.bundles()}")
    return found


def _twice(site):
    """Forecasts of one device, condition, instant and version that stand more than once."""
    name = ("device_id", "condition_id", "issued_at", "model", "version")
    return [
        key
        for rows in (site.forecasts().values(), site.documents().values())
        for key, total in Counter(tuple(row[n] for n in name) for row in rows).items()
        if total > 1
    ]


@pytest.fixture
def sites(tmp_path, database, elasticsearch):
    """`quiet` and `killed`: nothing shared but the servers and the key that signs."""
    make_key(tmp_path)
    found = [Site(name, tmp_path, database, elasticsearch) for name in ("quiet", "killed")]
    yield found
    for site in found:
        site.close()


def test_kills_leave_no_trace(sites, database):
    seed = int(os.environ.get("DEWLINE_SEED", str(time.time_ns() % 10**9)))
    print(f"\nDEWLINE_SEED={seed}")
    quiet, killed = sites
    commits = list(_commits())
    first = [c for c in commits if c.received_at < _ms("2013-04-01")]
    second = commits[len(first) :]
    for site in sites:
        site.land(first)
        site.fold()
        _cycle(site, FIRST)
    assert _differences(quiet, killed) == []  # also of what nobody disturbed

    quiet.land(second)
    scoring_s = _score(quiet, "--files", "25")
    quiet.fold()
    phases_s = _cycle(quiet, SECOND)
    wanted = quiet.counts()
    assert min(wanted.values()) > 0, wanted

    killer = Killer(killed, random.Random(seed))
    _killed_scoring(killed, second, killer, scoring_s)
    _killed_cycles(killed, database, killer, phases_s, wanted)
    for site in sites:
        _score(site)  # nothing has landed since
    _say(quiet, f"{len(quiet.documents())} documents, {len(quiet.bundles())} bundles, {wanted}")
    assert _differences(quiet, killed) == []
    assert _twice(quiet) == _twice(killed) == []
    assert min(killer.batches, killer.cycles) >= 2  # else there was little to see
