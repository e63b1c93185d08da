"""Each ready mapping reads a small file of its shape, made from the description it names."""

import pytest

from cloud.importing.mapping_file import Overrides, read_mapping, ready_names

AT = 1_704_067_200_000  # 2024-01-01T00:00:00Z
HOUR_MS = 3_600_000

HISTORY = """entity_id,state,last_changed
sensor.attic_temperature,18.4,2024-01-01T00:00:00.000Z
sensor.attic_temperature,unavailable,2024-01-01T00:10:00.000Z
sensor.attic_temperature_f,68.0,2024-01-01T00:20:00.000Z
binary_sensor.door,on,2024-01-01T01:00:00.000Z
light.kitchen,on,2024-01-01T01:00:00.000Z
"""
STATISTICS = (
    "statistic_id\tunit\tstart\tmin\tmax\tmean\n"
    "sensor.attic\t°C\t01.01.2024 00:00\t17.5\t19\t18.25\n"
    "sensor.attic\t°F\t01.01.2024 01:00\t50\t68\t59\n"
)
LINE = "air,device=gw-1,sensor=attic temperature=18.4,pressure=1013.25 1704067200000000000\n"
ANNOTATED = """#datatype,string,long,dateTime:RFC3339,double,string,string,string,string
#group,false,false,false,false,true,true,true,true
#default,_result,,,,,,,
,result,table,_time,_value,_field,_measurement,device,sensor
,,0,2024-01-01T00:00:00Z,18.4,temperature,air,gw-1,attic
,,1,2024-01-01T00:00:00Z,1013.25,pressure,air,gw-1,attic
,,2,2024-01-01T00:00:00Z,7,wind,air,gw-1,attic
"""
THINGSBOARD = "Timestamp;temperature;humidity\n2024-01-01 00:00:00;18.4;51\n"
ELITECH = """Device Model,RC-51H
Serial No.,EF1234567890

No.,Time,Temperature(°C),Humidity(%RH)
1,2024-01-01 00:00:00,18.4,51.5
2,2024-01-01 00:10:00,---,51.5
"""
TESTO = (
    "Device:;testo 174H;\r\nDate;Channel 1 [°C];Channel 2 [%rF]\r\n"
    "01.01.2024 00:00:00;18,4;51,5\r\n"
)
HOBO = (
    '\ufeff"Plot Title: attic"\r\n'
    '"#","Date Time, GMT-05:00","Temp, °C (LGR S/N: 10755220, SEN S/N: 10755220)",'
    '"RH, % (LGR S/N: 10755220)","Coupler Attached (LGR S/N: 10755220)"\r\n'
    "1,12/31/23 07:00:00 PM,18.4,51.5,\r\n"
    "2,12/31/23 07:10:00 PM,,,Logged\r\n"
)
SIGNALS = {
    "sensor.attic_temperature": "attic/temperature",
    "sensor.attic_temperature_f": "attic/temperature °F",
    "binary_sensor.door": "door/contact",
    "sensor.attic": "attic/temperature",
}
CASES = {
    "home-assistant-history": (
        HISTORY,
        [
            ("attic/temperature", AT, 18.4, None),
            ("attic/temperature", AT + 1_200_000, 20.0, None),
            ("door/contact", AT + HOUR_MS, 1.0, None),
        ],
    ),
    "home-assistant-statistics": (
        STATISTICS,
        [
            ("attic/temperature", AT + HOUR_MS, 17.5, "min"),
            ("attic/temperature", AT + HOUR_MS, 18.25, "mean"),
            ("attic/temperature", AT + HOUR_MS, 19.0, "max"),
            ("attic/temperature", AT + 2 * HOUR_MS, 10.0, "min"),
            ("attic/temperature", AT + 2 * HOUR_MS, 15.0, "mean"),
            ("attic/temperature", AT + 2 * HOUR_MS, 20.0, "max"),
        ],
    ),
    "influxdb-line-protocol": (
        LINE,
        [("attic/pressure", AT, 101_325.0, None), ("attic/temperature", AT, 18.4, None)],
    ),
    "influxdb-annotated-csv": (
        ANNOTATED,
        [("attic/pressure", AT, 101_325.0, None), ("attic/temperature", AT, 18.4, None)],
    ),
    "thingsboard": (
        THINGSBOARD,
        [("room/humidity", AT, 51.0, None), ("room/temperature", AT, 18.4, None)],
    ),
    "elitech": (
        ELITECH,
        [
            ("room/humidity", AT, 51.5, None),
            ("room/humidity", AT + 600_000, 51.5, None),
            ("room/temperature", AT, 18.4, None),
        ],
    ),
    "testo": (
        TESTO,
        [("room/humidity", AT, 51.5, None), ("room/temperature", AT, 18.4, None)],
    ),
    "hobo": (
        HOBO,
        [("room/humidity", AT, 51.5, None), ("room/temperature", AT, 18.4, None)],
    ),
}


def test_every_ready_mapping_has_its_case():
    assert set(CASES) == set(ready_names())


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_its_shape_is_read(lake, run, file_of, tmp_path, name):
    text, expected = CASES[name]
    local = {"home-assistant-statistics", "thingsboard", "elitech", "testo"}
    zone = "UTC" if name in local else None
    wanted = name
    if name.startswith("home-assistant"):
        own = tmp_path / "own.toml"
        lines = [f'"{key}" = "{value}"' for key, value in SIGNALS.items()]
        own.write_text("\n".join([f'extends = "{name}"', "[signal.values]", *lines]), "utf-8")
        wanted = str(own)
    overrides = Overrides(device="gw-1", sensor="room", zone=zone)
    if name.startswith("influxdb"):
        overrides = Overrides()
    outcome = run(file_of(text), read_mapping(wanted, overrides))
    found = sorted(((r[1], r[2], r[3], r[6]) for r in lake.readings()), key=lambda r: r[:3])
    assert found == expected
    refused = {r.reason: r.total for r in outcome.refused}
    assert refused == ({"not_mapped": 1} if name == "home-assistant-history" else {})
