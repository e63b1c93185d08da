"""Kills imports at random moments, and compares the lake with that of one clean run."""

import random
import subprocess
import sys
import time
from pathlib import Path

from cloud.importing.state import imports_of
from cloud.lake.cursors import CursorStore
from cloud.lake.fold import fold
from cloud.lake.positions import Cursor
from cloud.lake.raw import RawTable
from cloud.lake.reader import LakeReader
from cloud.lake.store import FolderStore
from cloud.lake.survey import verify

NOW = 1_780_000_000_000  # 2026-05-28T20:26:40Z
MAPPING = """
[time]
columns = ["time"]
format = "epoch_s"
[device]
column = "device"
[sensor]
id = "room"
[[value]]
column = "temp"
quantity = "temperature"
[[value]]
column = "hum"
quantity = "humidity"
"""
IMPORT = """
import sys
from pathlib import Path
from cloud.importing.mapping_file import Overrides, read_mapping
from cloud.importing.run import Importer
from cloud.lake.store import FolderStore
lake, mapping, now_ms, *paths = sys.argv[1:]
importer = Importer(
    FolderStore(Path(lake)), read_mapping(mapping, Overrides()), int(now_ms), file_readings=1000
)
print("begins", flush=True)
for path in paths:
    importer.run(Path(path), lambda _bytes, _readings: None)
"""


def history(path, devices, rows, seed):
    """Rows of several devices: some repeated, some wrong, and not all in the order of time."""
    dice = random.Random(seed)
    lines = ["time,device,temp,hum"]
    for n in range(rows):
        at = 1_704_067_200 + 60 * n - (3600 if dice.random() < 0.01 else 0)
        lines += [
            f"{at},gw-{d},{dice.gauss(4, 1):.2f},{dice.gauss(80, 5):.1f}" for d in range(devices)
        ]
        if dice.random() < 0.01:
            lines += [lines[-1], "broken", f"{at},gw-0,x,"]
    path.write_text("\n".join(lines) + "\n")


def child(lake, mapping, now_ms, paths):
    words = [sys.executable, "-c", IMPORT, *map(str, (lake, mapping, now_ms, *paths))]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout.readline() == b"begins\n"
    return process


def ended(process):
    process.stdout.close()
    return process.wait(timeout=300)


def wait_for_files(store, process, wanted):
    """Returns when so many more landing files exist, or the process has ended."""
    before = len(store.list("landing/"))
    while process.poll() is None and len(store.list("landing/")) < before + wanted:
        time.sleep(0.002)


def content(store, raw):
    """Every block in the lake, without when it was received; and how often it was delivered."""
    landed = [b for file in LakeReader(store, raw).after(Cursor()) for b in file.blocks]
    return sorted((b.device_id, b.stream_id, b.first, b.last, b.payload) for b in landed)


def kill_and_compare(tmp_path, kills):
    """Returns how many runs were killed, and the number of landing files after each five."""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING)
    paths = [tmp_path / f"{n}.csv" for n in range(3)]
    for n, path in enumerate(paths):
        history(path, devices=5, rows=2500, seed=n)
    assert ended(child(tmp_path / "clean", mapping, NOW, paths)) == 0
    store, raw = FolderStore(tmp_path / "lake"), RawTable(tmp_path / "lake" / "raw")
    cursors = CursorStore(store, "search")
    cursors.register()
    dice, killed, progress = random.Random(20), 0, []
    for n in range(kills):
        process = child(tmp_path / "lake", mapping, NOW + n, paths)
        wait_for_files(store, process, dice.randint(0, 2))
        time.sleep(dice.uniform(0, 0.1))
        process.kill()
        killed += ended(process) == -9
        if n % 5 == 4:  # some landing files are in table `raw` when the next run begins
            read = [file.position for file in LakeReader(store, raw).after(Cursor())]
            cursors.save(cursors.load().after(read))
            fold(store, raw, [cursors.load()], NOW + 10**9, 0)
            progress.append(len(read))
    assert ended(child(tmp_path / "lake", mapping, NOW + kills, paths)) == 0
    clean = FolderStore(tmp_path / "clean")
    assert content(store, raw) == content(clean, RawTable(tmp_path / "clean" / "raw"))
    assert not list(verify(store, raw))
    assert [(d.file, d.readings) for d in imports_of(store)] == [
        (d.file, d.readings) for d in imports_of(clean)
    ]
    return killed, progress
