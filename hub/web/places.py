"""Places in requests: where a user is, and the circle of those who are to be notified.

What is refused here names the field and the rule, never the value. This file does not know who is where.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from hub.domain.geo import MAX_LAT, MAX_LON, Near
from hub.web.fields import Faults, Form, Role, read

Latitude = Annotated[float, Field(ge=-MAX_LAT, le=MAX_LAT)]
Longitude = Annotated[float, Field(ge=-MAX_LON, le=MAX_LON)]


class Location(Form):
    """`PUT /me/location` and `updateLocation`."""

    lat: Latitude
    lon: Longitude
    accuracy: Annotated[float, Field(ge=0)] | None = None


class Circle(Form):
    """What stands in `near`."""

    lat: Latitude
    lon: Longitude
    radius_meters: Annotated[float, Field(ge=1)]
    role: Role | None = None


class Nearby(Form):
    """An audience: everybody near a place."""

    near: Circle


def require_location(body: Any, *, max_radius: float) -> Location:
    """Where a user says to be. Raises `ValidationFailed`, also when it is said too roughly."""
    faults = Faults()
    form = read(Location, body, faults)
    if form is not None and form.accuracy is not None and form.accuracy > max_radius:
        faults.add("accuracy", f"must be at most {max_radius:g} metres: this says too little about a place")
    faults.require_none()
    assert form is not None
    return form


def near(item: Any, faults: Faults, field: str, *, max_radius: float) -> Near | None:
    """The circle in `{"near": ...}`, or None with its faults added."""
    form = read(Nearby, item, faults, prefix=field)
    if form is None:
        return None
    circle = form.near
    if circle.radius_meters > max_radius:
        faults.add(f"{field}.near.radiusMeters", f"must be at most {max_radius:g}")
    return Near(circle.lat, circle.lon, circle.radius_meters, circle.role)
