"""Phone numbers: the one form in which they are kept (E.164), and the country they belong to.

What a number may look like is judged by its country's length alone: numbering plans get new blocks faster
than any library learns of them, and a number that is refused here reaches nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a hub without text messages needs none of its tables
    from phonenumbers import PhoneNumber

_UNKNOWN = frozenset({"ZZ", "001"})  # no country, and the networks that belong to none


def e164(text: str) -> str | None:
    """`+84901234567` for any usual writing of it with its country's code; None: it is no number."""
    import phonenumbers

    number = _parsed(text)
    if number is None:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country_of(number: str) -> str | None:
    """The country (ISO 3166, two letters) of a number in E.164; None: it is of none, or no number."""
    import phonenumbers

    parsed = _parsed(number)
    if parsed is None:
        return None
    known = phonenumbers.region_code_for_number(parsed)
    country = known or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return None if country in _UNKNOWN else country


def _parsed(text: str) -> PhoneNumber | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    usable = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return number if usable and not number.extension else None
