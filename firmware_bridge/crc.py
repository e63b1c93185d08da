"""Computes the sensor makers' CRC-8: x^8 + x^5 + x^4 + 1, most significant bit first, no XOR."""

__all__ = ["checked_words", "crc8"]


def _after_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc << 1) ^ (0x131 if crc & 0x80 else 0)
    return crc


_TABLE = bytes(_after_byte(value) for value in range(256))


def crc8(data: bytes, *, init: int = 0xFF) -> int:
    """Return the CRC of `data`. Sensirion and Aosong use `init` 0xFF, TE and Silicon Labs 0x00."""
    crc = init
    for byte in data:
        crc = _TABLE[crc ^ byte]
    return crc


def checked_words(frame: bytes) -> tuple[int, ...] | None:
    """Return the 16-bit words of a Sensirion frame, or None if the CRC after a word is wrong."""
    triples = [frame[at : at + 3] for at in range(0, len(frame), 3)]
    if any(crc8(triple[:2]) != triple[2] for triple in triples):
        return None
    return tuple(triple[0] << 8 | triple[1] for triple in triples)
