"""Each bench with tiny counts: it runs to its end and its last line holds its figures.

How large the figures are is not judged here: that depends on the machine.
"""

import json
import random
import sys
from pathlib import Path

import pytest

from bench import gateway, importing, ingest
from bench.air import NAME_SETS, Noise, layout_of, ticks
from bench.broker import line
from bench.errors import BenchError, NoEnvironment
from bench.payload import blocks, bytes_per_reading, require_strange_names
from bench.resident import edge_python, run_gateway
from bench.stages import STAGES, Rhythm, run_stages
from contract.blocks import entries
from contract.wire import decode, encode


def last_line(printed: str) -> dict[str, float | None]:
    table = json.loads(printed.splitlines()[-1])
    assert isinstance(table, dict)
    return table


@pytest.mark.broker
def test_bench_gateway_prints_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    counts = ["--rounds", "1", "--live-blocks", "3", "--saver-blocks", "1", "--size-blocks", "10"]
    # no memory run: it would fetch packages; the tests below try its two parts
    assert gateway.main([*counts, "--seconds", "0", "--folder", str(tmp_path)]) == 0
    figures = last_line(capsys.readouterr().out)
    assert list(figures) == [
        "cpu_us_per_reading",
        "bytes_per_reading_live",
        "bytes_per_reading_saver",
        "rss_mb",
    ]
    assert figures.pop("rss_mb") is None
    assert all(value is not None and value > 0 for value in figures.values())
    assert list(tmp_path.iterdir()) == []


def test_bench_import_prints_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # The file reaches the hour that does not exist, in which readings are refused.
    counts = ["--sensors", "2", "--rows", "27000", "--folder", str(tmp_path)]
    assert importing.main(counts) == 0
    figures = last_line(capsys.readouterr().out)
    assert list(figures) == [
        "readings_per_s",
        "readings_per_cpu_s",
        "rss_mb",
        "rss_mb_tenth",
        "cpu_vs_parse_only",
    ]
    assert all(value is not None and value > 0 for value in figures.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.broker
def test_bench_ingest_prints_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    counts = ["--rounds", "1", "--blocks8", "800", "--blocks80", "800"]
    assert ingest.main([*counts, "--folder", str(tmp_path)]) == 0
    figures = last_line(capsys.readouterr().out)
    assert list(figures) == [
        "readings_per_core_s_block8",
        "readings_per_core_s_block80",
        "vs_plain_json_block8",
        "vs_plain_json_block80",
    ]
    assert all(value is not None and value > 0 for value in figures.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.broker
def test_a_gateway_process_is_weighed(tmp_path: Path):
    with line(tmp_path) as to:
        run = run_gateway(Path(sys.executable), tmp_path, to, seconds=6.0)
    assert 10 < run.end.resident_mb <= run.end.peak_mb < 1000
    assert run.readings_a_block >= 8  # four sensors of two quantities, all read in each tick
    assert run.cpu_us is None  # too short to say


def test_an_environment_that_pip_cannot_make_is_left_out(tmp_path: Path):
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "edge.txt").write_text("this is no requirement\n")
    (tmp_path / "pyproject.toml").touch()
    with pytest.raises(NoEnvironment, match="pip install"):
        edge_python(tmp_path, tmp_path / "edge-venv")
    assert not (tmp_path / "edge-venv" / "dewline-stamp").exists()


def test_every_stage_is_measured(tmp_path: Path):
    watch = run_stages(tmp_path, Rhythm("live", 8, 2), seed=1)
    assert set(watch.cpu_ns) == set(watch.wall_ns) == set(STAGES)
    assert all(spent > 0 for spent in watch.cpu_ns.values())


def test_the_same_seed_makes_the_same_air():
    layout = layout_of("rooms", paired=True)
    one, two, other = (ticks(layout, Noise(), seed) for seed in (1, 1, 2))
    assert [next(one) for _ in range(5)] == [next(two) for _ in range(5)]
    assert next(one) != next(other)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("records", [8, 240])
def test_blocks_follow_each_other_and_hold_what_they_should(records: int, *, paired: bool):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    made = blocks(layout_of("codes", paired=paired), records, 86_400, seed)
    first, second = next(made), next(made)
    assert first.first == 86_400 * 8 + 1
    assert second.first == first.last + 1
    for block in (first, second):
        assert decode(encode(block)) == block
        offsets = {e.offset_ms for e in entries(block)}
        assert max(offsets) - min(offsets) < (records // 8) * 1000
        assert block.records_total == records


def test_large_blocks_cost_fewer_bytes_a_reading():
    layout = layout_of("rooms", paired=True)
    assert bytes_per_reading(layout, 240, 0, 10) < bytes_per_reading(layout, 8, 0, 10)


def test_names_in_the_dictionary_are_refused():
    require_strange_names(name for names in NAME_SETS.values() for name in names)
    with pytest.raises(BenchError, match=r": temperature$"):
        require_strange_names(["cellar", "temperature"])
