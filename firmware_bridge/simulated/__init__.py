"""A board without hardware: chips that speak their real bytes, weather, faults on request.

Owns the imitation of hardware and nothing else: no driver looks in here, and no chip in here uses a
driver's arithmetic. What a chip sends is what its data sheet says that it sends.
"""

from firmware_bridge.simulated.board import SimulatedBoard
from firmware_bridge.simulated.faults import Fault, Faults
from firmware_bridge.simulated.feeds import Feed, RecordingFeed, WaveFeed, Weather, read_recording

__all__ = [
    "Fault",
    "Faults",
    "Feed",
    "RecordingFeed",
    "SimulatedBoard",
    "WaveFeed",
    "Weather",
    "read_recording",
]
