"""Defines the errors of hardware and drivers (`+`: retryable).

DewlineError              contract
├ BusError            +   a transaction failed; boards raise it, drivers turn it into a SensorError
└ SensorError             a driver's `open` and `read` raise one of these
  ├ SensorUnavailable +   no answer, or a wrong one: try again at the next interval
  └ SensorFault       -   wrong chip, impossible calibration or raw value: the operator must act

This module also explains the kernel's error numbers of I2C transactions. It imports no library.
"""

import errno
from typing import ClassVar

from contract.errors import DewlineError
from contract.quantities import Flag

__all__ = ["BusError", "SensorError", "SensorFault", "SensorUnavailable", "os_bus_error"]


class BusError(DewlineError):
    """Reports that a transaction on a bus or pin failed. The text names bus, address and cause."""

    retryable: ClassVar[bool] = True


class SensorError(DewlineError):
    """Reports that a chip gave no value. `flag` is the reason in the reading without a value."""

    def __init__(self, text: str, *, flag: Flag) -> None:
        super().__init__(text)
        self.flag = flag


class SensorUnavailable(SensorError):
    """Reports that all attempts failed: `no_answer`, or `check_failed` for a wrong answer.

    `ready_in_s` is set for a chip that works but measures at its own times: seconds until the chip
    has a value.
    """

    retryable: ClassVar[bool] = True

    def __init__(self, text: str, *, flag: Flag, ready_in_s: float | None = None) -> None:
        super().__init__(text, flag=flag)
        self.ready_in_s = ready_in_s


class SensorFault(SensorError):
    """Reports that a wrong or broken chip answers."""

    def __init__(self, text: str) -> None:
        super().__init__(text, flag=Flag.SENSOR_FAULT)


# Controllers report one event under different numbers (docs.kernel.org, i2c/fault-codes).
_MEANINGS = {
    errno.EREMOTEIO: "nothing acknowledged: chip absent, unpowered, miswired or still busy",
    errno.ENXIO: "nothing acknowledged: chip absent, unpowered, miswired or still busy",
    errno.ENODEV: "nothing acknowledged, or the bus adapter was removed",
    errno.EIO: "the transfer failed on the wire: check wiring and pull-up resistors",
    errno.ETIMEDOUT: "the bus hangs: a chip holds SDA or SCL low; power-cycle it",
    errno.EAGAIN: "arbitration lost: another controller or a short circuit is on the bus",
    errno.EBUSY: "the bus or address is in use, perhaps by a kernel driver for the same chip",
    errno.ENOENT: "the bus does not exist: enable I2C (raspi-config) or correct the bus number",
    errno.EACCES: "no permission: add the user to the group i2c",
    errno.EPERM: "no permission: add the user to the group i2c",
    errno.EOPNOTSUPP: "the bus adapter cannot do plain I2C transfers",
    errno.ENOTTY: "the device file is not an I2C adapter",
    errno.EBADF: "the bus was closed",
}


def os_bus_error(where: str, error: OSError) -> BusError:
    """Return the BusError for a kernel's error; `where` is such as `i2c-1 address 0x76`."""
    number = error.errno
    name = "no errno" if number is None else errno.errorcode.get(number, str(number))
    meaning = _MEANINGS.get(number or 0, error.strerror or str(error))
    return BusError(f"{where}: {name}: {meaning}")
