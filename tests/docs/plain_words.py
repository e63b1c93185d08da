"""Words that a reader would not search for, and what to write instead."""

import re
from collections.abc import Iterator

NOT = {
    r"(?:is|are|was|were|be|been) told|tells?": "is logged, is reported, reports, notifies",
    r"what (?:comes?|came|lands?|landed)": "the received blocks, new files",
    r"conditions? (?:begins?|began|ends?|(?:has )?ended)": "becomes true, becomes false",
    r"notices|lamps?": "notifications, outputs",
    r"looks? ahead|outlook": "forecasts",
    r"affairs?|of no use": "belongs to, does not need",
    r"(?:go|goes|going|went|gone) out": "is released",
    r"houses?|rooms?": "package, module",
    r"in words": "a message, a reason",
    r"a person|somebody|whoever|to be told": "you, the operator, the caller",
    r"patience": "time limit",
    r"mend(?:s|ed|ing)?": "correct, repair, fix",
    r"anew": "again",
    r"gives? back": "returns",
    r"learn(?:s|t|ed)? of": "receives, finds",
    r"to be had": "is available",
    r"foreign(?! key)": "another X's, third-party",
}
ALLOWED = {  # phrase: why its word is the right one there
    "a room or a machine": "the place where sensors are",
    "to make room": "space on a disk",
    "in rooms that never get fresh air": "the place where sensors are",
    "of a room that people use": "the place where sensors are",
    "room-1": "an example's sensor",
    "room-{n}": "an example's sensor",
    "with room for the labels": "space on a drawing",
    "a lamp, buzzer or relay": "what a pin switches",
    "a lamp, relay or buzzer": "what a pin switches",
    "The text tells the operator": "its subject is a text, its object a reader",
}


def own_words(text: str) -> Iterator[str]:
    """Yields each word that the field does not use, with its surroundings and a better word."""
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    for pattern, better in NOT.items():
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            yield f"{text[max(0, match.start() - 30) : match.end() + 30]!r}: {better}"
