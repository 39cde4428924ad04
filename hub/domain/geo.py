"""Places on earth, and the question who is near one.

Latitude and longitude are degrees of WGS 84, lengths are metres. The latitudes are those of Redis' geo sets,
which are those of web maps: the caps beyond them, where nobody lives, are left out. A circle must not reach
over a pole, where Redis would miss some: no radius above 500 km does. This file does not know how far is too
far.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LAT = 85.05112878
MAX_LON = 180.0


@dataclass(frozen=True, slots=True)
class Near:
    """Everybody within `radius` metres; with `role`, only who has that role."""

    lat: float
    lon: float
    radius: float
    role: str | None = None
