"""How much of a text fits into a text message, and what it costs: 3GPP TS 23.038.

A message is paid by the segment: 160 characters of the GSM alphabet, or 70 of any other; in a message of
several, 153 or 67. One letter outside the alphabet changes the price of the whole, so marks that have a twin
inside are written with it. This file does not know who sends it.
"""

from __future__ import annotations

import re

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # two places each
_TWINS = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u2007\u2009\u200a\u3000\t", " "),
        **dict.fromkeys("‘’‚′", "'"),
        **dict.fromkeys("“”„″", '"'),
        **dict.fromkeys("‐‑‒–—−", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
        "…": "...",
    }
)
_LAST_LINK = re.compile(r"\s*(https?://\S+)$")


def plain(text: str) -> str:
    """The same in the GSM alphabet where that changes no letter; else the text as it is."""
    twin = text.translate(_TWINS)
    return twin if _is_gsm(twin) else text


def segments(text: str) -> int:
    """How many segments a text is paid as."""
    length, (alone, together) = _length(text), _sizes(text)
    return 1 if length <= alone else -(-length // together)


def fit(text: str, most: int) -> str:
    """The text in at most `most` segments. A link at its end stays whole; what stands before it is cut."""
    text = plain(text.strip())
    if segments(text) <= most:
        return text
    found = _LAST_LINK.search(text)
    for link in (f" {found[1]}" if found else "", ""):
        words = text[: found.start()] if found and link else text
        least, longest = 0, len(words)
        while least < longest:
            middle = (least + longest + 1) // 2
            if segments(_cut(words, middle, link)) <= most:
                least = middle
            else:
                longest = middle - 1
        if least:
            return _cut(words, least, link)
    return ""


def _cut(text: str, length: int, link: str) -> str:
    words = text[:length].rstrip()
    return f"{words}{'...' if _is_gsm(words + link) else '…'}{link}"


def _is_gsm(text: str) -> bool:
    return _BASIC.union(_EXTENDED).issuperset(text)


def _length(text: str) -> int:
    if _is_gsm(text):
        return len(text) + sum(character in _EXTENDED for character in text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _sizes(text: str) -> tuple[int, int]:
    return (160, 153) if _is_gsm(text) else (70, 67)
