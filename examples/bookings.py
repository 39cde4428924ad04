"""Real bookings, told as a stream of notifications.

Each row of `data/bookings.csv.gz` is one small story: booked, changed, reminded, then completed, cancelled
or a no-show. `stream` puts the stories of both hotels in the order of time. Everything here is a pure
function of the rows: no clock, no chance, no network; the same rows always give the same stream and the same
keys. Names and addresses of guests are made up.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "bookings.csv.gz"
TENANTS = {"City Hotel": "city-hotel", "Resort Hotel": "resort-hotel"}
STAFF = "role:ADMIN"
STRIDE = 7919  # a prime: walks through a list of any other length and meets everyone once
ENDS = {
    "Check-Out": ("booking.completed", time(11)),
    "Canceled": ("booking.cancelled", time(20)),
    "No-Show": ("booking.no_show", time(23, 30)),
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# First and last names per country; the rest of the world shares the last line.
NAMES = {
    "PRT": ("Ana João Inês Tiago", "Silva Santos Ferreira Costa"),
    "ESP": ("Lucía Pablo Carmen Diego", "García López Romero Navarro"),
    "FRA": ("Camille Louis Manon Hugo", "Martin Bernard Dubois Moreau"),
    "GBR": ("Amelia Oliver Grace Harry", "Smith Taylor Evans Walker"),
    "IRL": ("Aoife Conor Niamh Sean", "Murphy Kelly Byrne Ryan"),
    "DEU": ("Hannah Lukas Lena Jonas", "Müller Schmidt Weber Wagner"),
    "ITA": ("Giulia Marco Sofia Luca", "Rossi Russo Ferrari Bianchi"),
    "": ("Noa Sam Mila Kim", "Larsen Nowak Ivanov Chen"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One row, understood. Times are UTC; `price` is euros for the whole stay."""

    number: int
    tenant: str
    hotel: str
    guest_name: str
    agent: str | None
    booked: datetime
    check_in: date
    check_out: date
    nights: int
    guests: int
    room: str
    changes: int
    price: Decimal
    end: datetime
    end_type: str

    @property
    def id(self) -> str:
        """`CH-00017`: the hotel's initials and the row."""
        return f"{''.join(word[0] for word in self.hotel.split())}-{self.number:05}"

    @property
    def guest(self) -> str:
        return f"guest-{self.id.lower()}"

    @property
    def data(self) -> dict[str, Any]:
        """What every notification about this booking carries."""
        return {
            "bookingId": self.id,
            "guestName": self.guest_name,
            "propertyName": self.hotel,
            "checkIn": self.check_in.isoformat(),
            "checkOut": self.check_out.isoformat(),
            "nights": self.nights,
            "guests": self.guests,
            "roomName": self.room,
            "totalPrice": float(self.price),
            "currency": "EUR",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One notification of the stream. `mail` is the guest's address when it is to be mailed too."""

    at: datetime
    booking: Booking
    type: str
    rooms: tuple[str, ...]
    step: int
    mail: str | None = None

    @property
    def tenant(self) -> str:
        return self.booking.tenant

    @property
    def key(self) -> str:
        """Unique in the stream and the same in every run."""
        return f"{self.booking.id}-{self.step}-{self.type}"

    @property
    def body(self) -> dict[str, Any]:
        """The body for `POST /notifications` with a key of the platform (hence `tenantId`)."""
        guest = {"id": self.booking.guest, "email": self.mail}
        return {
            "tenantId": self.tenant,
            "type": self.type,
            "to": guest if self.mail else list(self.rooms),
            "link": f"/bookings/{self.booking.id}",
            "data": self.booking.data,
            "channels": ["inApp", "email"] if self.mail else ["inApp"],
        }


def guest_name(country: str, number: int) -> str:
    first, last = (words.split() for words in NAMES.get(country, NAMES[""]))
    return f"{first[number % len(first)]} {last[number // len(first) % len(last)]}"


def booking(number: int, row: Mapping[str, str]) -> Booking:
    """The booking that row `number` describes. Raises KeyError or ValueError when the row is not one."""
    check_in = date(
        int(row["arrival_date_year"]),
        MONTHS.index(row["arrival_date_month"]) + 1,
        int(row["arrival_date_day_of_month"]),
    )
    nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
    booked = datetime.combine(check_in - timedelta(days=int(row["lead_time"])), time(8), UTC)
    booked += timedelta(minutes=number * 37 % 600)  # the data has no hour: spread over the working day
    end_type, hour = ENDS[row["reservation_status"]]
    end = datetime.strptime(row["reservation_status_date"], "%m/%d/%Y").replace(tzinfo=UTC)
    return Booking(
        number=number,
        tenant=TENANTS[row["hotel"]],
        hotel=row["hotel"],
        guest_name=guest_name(row["country"], number),
        agent=None if row["agent"] == "NULL" else row["agent"],
        booked=booked,
        check_in=check_in,
        check_out=check_in + timedelta(days=nights),
        nights=nights,
        guests=sum(int(row[kind]) for kind in ("adults", "children", "babies")),
        room=f"Room {row['reserved_room_type']}",
        changes=int(row["booking_changes"]),
        price=round(Decimal(row["adr"]) * nights, 2),
        end=max(datetime.combine(end, hour, UTC), booked + timedelta(hours=1)),
        end_type=end_type,
    )


def story(about: Booking) -> list[Moment]:
    """What happens to one booking, oldest first. Nothing comes after its end."""
    staff = (STAFF, *([f"user:agent-{about.agent}"] if about.agent else []))
    guest = f"user:{about.guest}"
    arrival = datetime.combine(about.check_in, time(15), UTC)
    until = min(arrival, about.end)
    between = [
        (about.booked + (until - about.booked) * turn / (about.changes + 1), "booking.updated")
        for turn in range(1, about.changes + 1)
    ]
    between.append((arrival - timedelta(days=7, hours=5), "booking.reminder"))
    between.append((arrival - timedelta(days=1, hours=3), "checkin.reminder"))
    told: list[tuple[datetime, str, tuple[str, ...], str | None]] = [
        (about.booked, "booking.created", staff, None),
        (about.booked, "booking.created", (guest,), f"{about.guest}@example.com"),
    ]
    told += [
        (at, kind, (*staff, guest), None) for at, kind in sorted(between) if about.booked < at < about.end
    ]
    told.append((about.end, about.end_type, (*staff, guest), None))
    return [
        Moment(at=at, booking=about, type=kind, rooms=rooms, step=step, mail=mail)
        for step, (at, kind, rooms, mail) in enumerate(told)
    ]


def stream(bookings: Iterable[Booking]) -> list[Moment]:
    """All stories in the order of time; what happens at the same minute keeps the order of the rows."""
    moments = [moment for about in bookings for moment in story(about)]
    return sorted(moments, key=lambda moment: (moment.at, moment.booking.number, moment.step))


def sample(bookings: Sequence[Booking], moments: int) -> list[Booking]:
    """Some of the bookings, well mixed, whose whole stories hold at most `moments` notifications."""
    chosen, told = [], 0
    for turn in range(len(bookings)):
        about = bookings[turn * STRIDE % len(bookings)]
        told += len(story(about))
        if told > moments:
            break
        chosen.append(about)
    return chosen


def read(path: Path = DATA) -> Iterator[Booking]:
    """The bookings of a gzipped CSV file. Raises OSError when it cannot be read."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=1):
            yield booking(number, row)
