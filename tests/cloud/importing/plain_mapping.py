"""The mapping and the instant that tests of imports share."""

NOW = 1_780_000_000_000  # 2026-05-28T20:26:40Z
ROOM = """
[time]
columns = ["time"]
zone = "UTC"
[device]
id = "store"
[sensor]
id = "room"
[[value]]
column = "temp"
quantity = "temperature"
"""
