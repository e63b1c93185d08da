import itertools

import pytest

from cloud.importing.mapping_file import Overrides, read_mapping
from cloud.importing.preview import preview
from cloud.importing.run import Importer
from cloud.lake.landing import landed_paths, read_file
from cloud.lake.store import FolderStore
from contract.blocks import entries
from contract.wire import decode
from tests.cloud.importing.plain_mapping import NOW, ROOM


def _told(b):
    return (b.device_id, b.stream_id, b.first, b.last, b.topic, b.payload)


class Lake:
    """A lake in a folder, and what imports have put there."""

    def __init__(self, folder):
        self.folder = folder
        self.store = FolderStore(folder)

    def files(self):
        paths = itertools.chain(*(n.values() for n in landed_paths(self.store).values()))
        return [read_file(self.store, path) for path in sorted(paths)]

    def blocks(self):
        """Every landed block, without what differs between two imports: when it was received."""
        landed = [block for file in self.files() for block in file.blocks]
        return sorted(
            (b.device_id, b.stream_id, b.first, b.last, b.topic, b.payload) for b in landed
        )

    def readings(self):
        """(device, sensor/quantity, instant, value, quality, flags, statistic) of each reading."""
        found = []
        for device, _, _, _, _, payload in self.blocks():
            for entry in entries(decode(payload)):
                r = entry.record
                if hasattr(r, "quantity"):
                    signal = f"{r.sensor_id}/{r.quantity}"
                    row = (device, signal, entry.observed_at, r.value, r.quality, r.flags)
                    found.append((*row, r.statistic))
        return sorted(found, key=str)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def mapping_of(tmp_path):
    names = itertools.count()

    def made(text=ROOM, **overrides):
        path = tmp_path / f"mapping-{next(names)}.toml"
        path.write_text(text, encoding="utf-8")
        return read_mapping(str(path), Overrides(**overrides))

    return made


@pytest.fixture
def file_of(tmp_path):
    def made(text, name="file.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return made


@pytest.fixture
def run(lake):
    """Imports a file with a mapping and returns the outcome."""

    def imported(path, mapping, *, now_ms=NOW, again=False):
        importer = Importer(lake.store, mapping, now_ms, again=again)
        return importer.run(path, lambda _bytes, _readings: None)

    return imported


@pytest.fixture
def previewed():
    def shown(path, mapping, rows=10):
        return preview(path, mapping, NOW, rows, lambda _bytes, _readings: None)

    return shown
