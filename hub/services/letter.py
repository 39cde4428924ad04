"""The two bodies of a mail: what its template says, in the frame that all mails have.

Mail programs want styles at the elements, and putting them there costs more than all the words of a mail. So
it is done once for each shape of the frame (language, severity, what is in it), with marks where words go; of
the mail itself only the template's block is parsed, and once for all who get the same words.
Promises: whatever a block leaves open ends within the frame. Knows no events and no channels.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from css_inline import CSSInliner, InlineError
from markupsafe import Markup, escape

from hub.services.page import Page, TemplateFailed, whole
from hub.services.shipped import Shipped

_MANY_BLANK_LINES = re.compile(r"\n{3,}")
_PREVIEW = 140  # characters of a mail that lists show beside its subject
# Private characters stand in no template of the hub's own; data never passes through here.
_MARK = re.compile("\ue000([a-z]+)\ue001")
_STYLE = re.compile(r"<style>(.*?)</style>", re.S)
_OF_THE_SCREEN = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_OWN_STYLE = re.compile("<style", re.I)
_HTML, _TEXT = "_layouts/email.html.j2", "_layouts/email.txt.j2"


class _Shape(NamedTuple):
    """What decides how a frame looks; the rest is words in their places."""

    language: str
    severity: str
    preview: bool
    link: bool
    button: bool  # the block has one of its own
    unsubscribe: bool


class Letters:
    """`brand` stands above every mail."""

    def __init__(self, shipped: Shipped, *, brand: str) -> None:
        self._shipped = shipped
        self._brand = brand
        self._whole = CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)
        self._part = CSSInliner(load_remote_stylesheets=False)
        self._plain = lru_cache(maxsize=256)(self._drawn)
        self._styled = lru_cache(maxsize=256)(self._styled_frame)
        self._block = lru_cache(maxsize=128)(self._styled_block)
        self._css = ""

    def of(self, page: Page, link: str | None) -> tuple[str, str, str]:
        """Subject, text and HTML. `link` is where the notification leads. Raises `TemplateFailed`."""
        subject = page.line("subject")
        text = page.block("text", "text").strip()
        body = page.block("html", "html").strip()
        language, unsubscribe = page.chosen.language, page.context["unsubscribe"]
        preview = " ".join(text.split())[:_PREVIEW]
        shape = _Shape(
            language=language,
            severity=page.context["severity"],
            preview=bool(preview),
            link=bool(link),
            button='class="button"' in body,
            unsubscribe=bool(unsubscribe),
        )
        words = {
            "subject": escape(subject),
            "preview": escape(preview),
            "link": escape(link or ""),
            "unsubscribe": escape(unsubscribe or ""),
        }
        try:
            if _OWN_STYLE.search(body):  # it may be meant for all of the mail
                html = self._whole.inline(_filled(self._plain(shape), words | {"body": body}))
            else:
                html = _filled(self._styled(shape), words | {"body": self._block(body)})
        except InlineError as error:
            raise TemplateFailed(page.chosen.name, str(error)) from error
        frame = {
            "body": text,
            "link": link,
            "unsubscribe": unsubscribe,
            "word": self._shipped.words(language),
        }
        letter = whole(self._shipped.template("text", _TEXT), frame)
        return subject, _MANY_BLANK_LINES.sub("\n\n", letter).strip() + "\n", html

    def _drawn(self, shape: _Shape) -> tuple[str, ...]:
        """The frame as it is written: pieces of it, and between them the names of what goes there."""
        frame: dict[str, Any] = {
            "language": shape.language,
            "severity": shape.severity,
            "word": self._shipped.words(shape.language),
            "brand": self._brand,
            "button_inside": shape.button,
            "subject": _mark("subject"),
            "body": _mark("body"),
            "preview": _mark("preview") if shape.preview else "",
            "link": _mark("link") if shape.link else None,
            "unsubscribe": _mark("unsubscribe") if shape.unsubscribe else None,
        }
        return tuple(_MARK.split(whole(self._shipped.template("html", _HTML), frame)))

    def _styled_frame(self, shape: _Shape) -> tuple[str, ...]:
        """The same with every style at its element, but for what is asked of the screen."""
        marks = {name: _mark(name) for name in self._plain(shape)[1::2]}
        return tuple(_MARK.split(self._whole.inline(_filled(self._plain(shape), marks))))

    def _styled_block(self, body: str) -> str:
        """A template's block with the frame's styles at its elements, and everything closed that it opens."""
        if not self._css:
            found = _STYLE.search(self._shipped.source(_HTML))
            self._css = _OF_THE_SCREEN.sub("", found[1]) if found else ""
        return self._part.inline_fragment(body, self._css)


def _mark(name: str) -> Markup:
    return Markup("\ue000{}\ue001").format(name)


def _filled(frame: tuple[str, ...], words: dict[str, Any]) -> str:
    return "".join([words[piece] if place % 2 else piece for place, piece in enumerate(frame)])
