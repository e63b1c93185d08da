"""Simulates a board: chips that send the real chips' bytes, and show faults on request.

This package only imitates hardware: no driver imports it, and no simulated chip uses a driver's
arithmetic. A chip sends the bytes that its data sheet describes.
"""

from firmware_bridge.simulated.board import SimulatedBoard
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Feed, RecordingFeed, TrueValues, read_recording
from firmware_bridge.simulated.waves import WaveFeed

__all__ = [
    "Fault",
    "Faults",
    "Feed",
    "RecordingFeed",
    "SimulatedBoard",
    "TrueValues",
    "WaveFeed",
    "read_recording",
]
