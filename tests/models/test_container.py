"""The zip around a bundle: what any unzip reads, and nothing else than what was written."""

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.container import pack_members, unpack_members
from models.errors import BundleRefused

LIMITS = {"a.json": 1_000, "b.bin": 2_000}
MEMBERS = {"a.json": b'{"a": 1}' * 20, "b.bin": bytes(range(256))}
FILE = pack_members(MEMBERS)
SIZE_AT = 22  # of the declared size in a local header, PKWARE's APPNOTE 4.3.7

any_members = st.builds(
    lambda first, second: {"a.json": first, "b.bin": second},
    st.binary(max_size=LIMITS["a.json"]),
    st.binary(max_size=LIMITS["b.bin"]),
)


def code_of(data, limits=LIMITS):
    with pytest.raises(BundleRefused) as caught:
        unpack_members(data, limits)
    assert str(caught.value) == f"{caught.value.code}: {caught.value.text}"
    assert not caught.value.retryable
    return caught.value.code


def zipped(pairs, *, compression=zipfile.ZIP_DEFLATED, **infos):
    """A zip by the standard library, as like to ours as it can be."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in pairs:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr, info.compress_type = 0, 0, compression
            for key, value in infos.items():
                setattr(info, key, value)
            archive.writestr(info, data, compresslevel=9)
            info.external_attr = 0  # writestr sets it; the directory is written at close
    return file.getvalue()


@given(any_members)
def test_what_is_packed_is_unpacked_and_any_unzip_reads_it(members):
    data = pack_members(members)
    assert pack_members(dict(members)) == data
    assert unpack_members(data, LIMITS) == members
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert {i.filename: archive.read(i) for i in archive.infolist()} == members


def test_the_standard_library_writes_the_same_file():
    assert zipped(MEMBERS.items()) == FILE


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_changes_what_is_read(bit):
    refused = 0
    for at in range(len(FILE)):
        damaged = bytearray(FILE)
        damaged[at] ^= 1 << bit
        try:
            found = unpack_members(bytes(damaged), LIMITS)
        except BundleRefused:
            refused += 1
        else:  # a deflate stream can say the same in two ways, its last bits say nothing
            assert found == MEMBERS
    assert refused > len(FILE) - 20


def test_each_byte_that_is_not_data_counts():
    data_at = set()
    for info in zipfile.ZipFile(io.BytesIO(FILE)).infolist():
        begin = info.header_offset + 30 + len(info.filename)
        data_at |= set(range(begin, begin + info.compress_size))
    rest = [at for at in range(len(FILE)) if at not in data_at]
    assert len(rest) > 150
    for at in rest:
        for change in (0x01, 0x80, 0xFF):
            assert code_of(FILE[:at] + bytes([FILE[at] ^ change]) + FILE[at + 1 :])


def test_a_file_that_is_cut_off_is_none():
    assert {code_of(FILE[:length]) for length in range(len(FILE))} == {"not_a_bundle"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"\x00" * 1_000,
        FILE + b"\x00",
        b"#!/bin/sh\n" + FILE,
        FILE + FILE,
        zipped([]),
        zipped(list(MEMBERS.items())[:1]),
        zipped(reversed(MEMBERS.items())),
        zipped([*MEMBERS.items(), ("c.txt", b"more")]),
        zipped([("c.txt", b"more"), *MEMBERS.items()]),
        zipped([*MEMBERS.items(), ("empty/", b"")]),
        zipped([("/a.json", MEMBERS["a.json"]), ("b.bin", MEMBERS["b.bin"])]),
        zipped([("../a.json", MEMBERS["a.json"]), ("b.bin", MEMBERS["b.bin"])]),
        zipped([("A.JSON", MEMBERS["a.json"]), ("b.bin", MEMBERS["b.bin"])]),
        FILE.replace(b"a.json", b"a\x00json"),
        zipped(MEMBERS.items(), compression=zipfile.ZIP_STORED),
        zipped(MEMBERS.items(), compression=zipfile.ZIP_BZIP2),
        zipped(MEMBERS.items(), compression=zipfile.ZIP_LZMA),
        zipped(MEMBERS.items(), comment=b"hello"),
        zipped(MEMBERS.items(), extra=b"\x99\x99\x00\x00"),
        zipped(MEMBERS.items(), date_time=(2026, 2, 3, 4, 5, 6)),
    ],
)
def test_another_file_is_none(data):
    assert code_of(data) == "not_a_bundle"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice():
    """Unzips differ in which of the two they take."""
    twice = [*MEMBERS.items(), ("a.json", b"another")]
    assert code_of(zipped(twice)) == "not_a_bundle"
    assert code_of(zipped(twice[::-1])) == "not_a_bundle"


def test_a_directory_that_names_other_bytes():
    """The local headers are ours, the directory points elsewhere: two readers, two contents."""
    other = pack_members({"a.json": b'{"b": 2}' * 20, "b.bin": MEMBERS["b.bin"]})
    directory = FILE.index(b"PK\x01\x02")
    assert code_of(FILE[:directory] + other[other.index(b"PK\x01\x02") :]) == "not_a_bundle"


def test_encryption_is_refused():
    for at in (6, FILE.index(b"PK\x01\x02") + 8):  # flags of the first member, in both places
        encrypted = bytearray(FILE)
        encrypted[at] |= 1
        assert code_of(bytes(encrypted)) == "not_a_bundle"


def test_a_bomb_that_says_so():
    assert code_of(pack_members({**MEMBERS, "b.bin": bytes(2_001)})) == "too_large"
    assert code_of(pack_members({**MEMBERS, "a.json": bytes(50_000_000)})) == "too_large"
    assert unpack_members(pack_members({**MEMBERS, "b.bin": bytes(2_000)}), LIMITS)


@pytest.mark.parametrize("declared", [0, 1, 1_000])
def test_a_bomb_that_does_not_say_so_is_not_inflated(declared):
    bomb = bytearray(pack_members({"a.json": bytes(50_000_000), "b.bin": b""}))
    struct.pack_into("<I", bomb, SIZE_AT, declared)
    assert code_of(bytes(bomb)) == "too_large"


TEXT = MEMBERS["a.json"]
SIZE, CRC = len(TEXT), zlib.crc32(TEXT)


def deflated(data, flush=zlib.Z_FINISH):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush(flush)


def with_stream(packed, *, size=SIZE, crc=CRC):
    """A file of one member, whole but for its stream; offsets as in PKWARE's APPNOTE 4.3."""
    file = pack_members({"a.json": TEXT})
    directory, end = file.index(b"PK\x01\x02"), file.index(b"PK\x05\x06")
    facts = struct.pack("<3I", crc, len(packed), size)
    local = file[:14] + facts + file[26:36]
    central = file[directory : directory + 16] + facts + file[directory + 28 : end]
    offset = struct.pack("<I", len(local) + len(packed))
    return local + packed + central + file[end : end + 16] + offset + file[end + 20 :]


def test_streams_that_are_not_the_member():
    limits = {"a.json": 1_000}
    assert unpack_members(with_stream(deflated(TEXT)), limits) == {"a.json": TEXT}
    for data in (
        with_stream(deflated(TEXT) + b"more"),
        with_stream(deflated(TEXT, zlib.Z_SYNC_FLUSH)),  # all of it, but without an end
        with_stream(deflated(TEXT), size=SIZE + 1),
        with_stream(deflated(TEXT), crc=zlib.crc32(b"another")),
        with_stream(deflated(TEXT.swapcase())),
        with_stream(TEXT),
        with_stream(b""),
    ):
        assert code_of(data, limits) == "not_a_bundle"
    assert code_of(with_stream(deflated(TEXT), size=SIZE - 1), limits) == "too_large"


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_words(data):
    assert code_of(data) in {"not_a_bundle", "too_large"}
    assert code_of(FILE[:40] + data) in {"not_a_bundle", "too_large"}
