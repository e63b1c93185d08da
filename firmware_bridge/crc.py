"""CRC-8 of the sensor makers: x^8 + x^5 + x^4 + 1, most significant bit first, no final XOR."""

__all__ = ["crc8"]


def _after_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc << 1) ^ (0x131 if crc & 0x80 else 0)
    return crc


_TABLE = bytes(_after_byte(value) for value in range(256))


def crc8(data: bytes, *, init: int = 0xFF) -> int:
    """Checksum of `data`. Sensirion and Aosong start from 0xFF, TE and Silicon Labs from 0x00."""
    crc = init
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc
