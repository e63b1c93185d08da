"""A board without hardware: chips that speak their real bytes, and show faults on request.

Owns the imitation of hardware and nothing else: no driver looks in here, and no chip in here uses a
driver's arithmetic. What a chip sends is what its data sheet says that it sends.
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
