"""Everything that can go wrong between a pin and a number.

DewlineError              contract
├ BusError            +   a transaction failed; boards raise it, drivers turn it into a SensorError
└ SensorError             what a driver's `open` and `read` raise
  ├ SensorUnavailable +   no answer, or none to be trusted: try again at the next interval
  └ SensorFault       -   wrong chip, impossible calibration or raw value: somebody must look

This module also owns what the kernel's error numbers of an I2C transaction mean. It imports no
library.
"""

import errno
from typing import ClassVar

from contract.errors import DewlineError
from contract.quantities import Flag

__all__ = ["BusError", "SensorError", "SensorFault", "SensorUnavailable", "os_bus_error"]


class BusError(DewlineError):
    """One transaction on a bus or pin failed. The text names bus, address and cause."""

    retryable: ClassVar[bool] = True


class SensorError(DewlineError):
    """A chip gave no value. `flag` is the reason that the null reading carries."""

    def __init__(self, text: str, *, flag: Flag) -> None:
        super().__init__(text)
        self.flag = flag


class SensorUnavailable(SensorError):
    """No answer (`no_answer`), or none that passed its check (`check_failed`), on any attempt.

    `ready_in_s` is set by a chip that works but measures at its own pace: it has a value after so
    many seconds.
    """

    retryable: ClassVar[bool] = True

    def __init__(self, text: str, *, flag: Flag, ready_in_s: float | None = None) -> None:
        super().__init__(text, flag=flag)
        self.ready_in_s = ready_in_s


class SensorFault(SensorError):
    """Something answers, but it is not the configured chip in working order."""

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
    """The BusError for what the kernel said; `where` is like `i2c-1 address 0x76`."""
    number = error.errno
    name = "no errno" if number is None else errno.errorcode.get(number, str(number))
    meaning = _MEANINGS.get(number or 0, error.strerror or str(error))
    return BusError(f"{where}: {name}: {meaning}")
