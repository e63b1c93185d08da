"""The Linux board's I2C: transactions as smbus2 messages, every foreign error converted."""

import errno
import os
from pathlib import Path

import pytest

from firmware_bridge.errors import BusError
from firmware_bridge.linux import LinuxBoard


class RecordingBus:
    """Keeps the messages of each transaction; answers reads with rising bytes."""

    def __init__(self) -> None:
        self.transactions = []
        self.closed_total = 0

    def i2c_rdwr(self, *i2c_msgs):
        self.transactions.append([(m.addr, m.flags & 1, m.len, bytes(list(m))) for m in i2c_msgs])
        for message in i2c_msgs:
            if message.flags & 1:
                for index in range(message.len):
                    message.buf[index] = index + 1

    def close(self):
        self.closed_total += 1


def test_each_call_is_one_transaction():
    raw = RecordingBus()
    opened = []
    board = LinuxBoard(open_i2c=lambda number: opened.append(number) or raw)
    bus = board.i2c(7)
    assert opened == []
    bus.write(0x44, b"\xfd\x00")
    assert bus.read(0x44, 3) == b"\x01\x02\x03"
    assert bus.write_read(0x76, b"\xd0", 1) == b"\x01"
    assert raw.transactions == [
        [(0x44, 0, 2, b"\xfd\x00")],
        [(0x44, 1, 3, b"\0\0\0")],
        [(0x76, 0, 1, b"\xd0"), (0x76, 1, 1, b"\0")],
    ]
    assert opened == [7]
    assert board.i2c(7) is bus
    board.close()
    board.close()
    assert raw.closed_total == 1


class FailingBus:
    def __init__(self, number: int) -> None:
        self._number = number

    def i2c_rdwr(self, *i2c_msgs):
        assert i2c_msgs
        raise OSError(self._number, os.strerror(self._number))

    def close(self):
        pass


def transactions(bus):
    return [
        lambda: bus.write(0x44, b"\xfd"),
        lambda: bus.read(0x44, 6),
        lambda: bus.write_read(0x44, b"\xd0", 1),
    ]


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=lambda n: errno.errorcode[n])
def test_every_os_error_of_a_transfer_or_of_opening_is_a_bus_error(number):
    def refuse(_bus):
        raise OSError(number, os.strerror(number))

    for open_i2c in (lambda _bus: FailingBus(number), refuse):
        for transaction in transactions(LinuxBoard(open_i2c=open_i2c).i2c(1)):
            with pytest.raises(BusError) as caught:
                transaction()
            assert str(caught.value).startswith(f"i2c-1 address 0x44: {errno.errorcode[number]}: ")
            assert isinstance(caught.value.__cause__, OSError)
            assert caught.value.retryable


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (errno.EREMOTEIO, "nothing acknowledged"),
        (errno.ENXIO, "nothing acknowledged"),
        (errno.ETIMEDOUT, "holds SDA or SCL low"),
        (errno.EACCES, "group i2c"),
        (errno.ENOENT, "enable I2C"),
        (errno.EIO, "wiring"),
    ],
)
def test_meaning_of_usual_errors(number, meaning):
    board = LinuxBoard(open_i2c=lambda _bus: FailingBus(number))
    with pytest.raises(BusError, match=meaning):
        board.i2c(1).read(0x44, 6)


def test_os_error_without_a_number():
    class Odd(FailingBus):
        def i2c_rdwr(self, *i2c_msgs):
            assert i2c_msgs
            raise OSError("odd")

    with pytest.raises(BusError, match="no errno: odd"):
        LinuxBoard(open_i2c=lambda _bus: Odd(0)).i2c(1).write(0x44, b"\x00")


def test_real_smbus2_without_such_a_bus():
    number = 255
    if Path(f"/dev/i2c-{number}").exists():
        pytest.skip(f"/dev/i2c-{number} exists on this machine")
    with pytest.raises(BusError, match="i2c-255 address 0x44: ENOENT"):
        LinuxBoard().i2c(number).read(0x44, 6)


def test_bus_works_again_after_it_could_not_be_opened():
    answers = [OSError(errno.ENOENT, "none"), RecordingBus()]

    def open_i2c(_bus):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    bus = LinuxBoard(open_i2c=open_i2c).i2c(1)
    with pytest.raises(BusError):
        bus.read(0x44, 1)
    assert bus.read(0x44, 1) == b"\x01"
