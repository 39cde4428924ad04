"""Templates that do not fit their data, want too much, or come in languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest
from css_inline import CSSInliner

from hub.domain.events import Event
from hub.services.page import TemplateFailed
from hub.services.render import Render, Words
from hub.services.shipped import TEMPLATES

END = "\n\n-- \n"
MAIL = "{% block subject %}S{% endblock %}{% block html %}H{% endblock %}{% block text %}T{% endblock %}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    copytree(TEMPLATES / "_layouts", tmp_path / "_layouts")
    copytree(TEMPLATES / "_parts", tmp_path / "_parts")
    copytree(TEMPLATES / "default", tmp_path / "default")
    copy(TEMPLATES / "_words.toml", tmp_path)
    return tmp_path


def put(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def mail(directory: Path, data: dict[str, Any], *, locale: str | None = None) -> Words:
    event = Event(
        tenant="acme",
        id="e1",
        type="a.b",
        wire="a.b",
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
        rooms=("user:42",),
        data=data,
    )
    words = Render(directory=directory).say([event], "email", locale=locale, timezone=None)
    return replace(words, text=f"{words.text.partition(END)[0]}\n")


def test_printing_what_is_not_there_fails_and_says_what_and_where(directory: Path) -> None:
    put(directory, "a.b/email.j2", MAIL.replace("T{", "{{ nights }}{"))
    with pytest.raises(TemplateFailed, match=r"a\.b/email\.j2, line 1: 'nights' is undefined"):
        mail(directory, {})
    assert mail(directory, {"nights": 3}).text == "3\n"


def test_asking_for_what_is_not_there_is_no_failure(directory: Path) -> None:
    put(directory, "a.b/email.j2", MAIL.replace("T{", "{% if nights %}long{% else %}short{% endif %}{"))
    assert mail(directory, {}).text == "short\n"


@pytest.mark.parametrize(
    "code",
    [
        "{{ 1 / zero }}",
        "{{ zero.name.name }}",
        "{{ zero | no_such_filter }}",
        "{% if %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for x in range(10000000) %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% include '../types.toml' %}",
        "{{ data.update({'a': 1}) }}",
    ],
)
def test_a_template_that_breaks_or_reaches_out_fails_and_nothing_else(directory: Path, code: str) -> None:
    put(directory, "a.b/email.j2", MAIL.replace("H{", code + "{"))
    with pytest.raises(TemplateFailed, match=r"a\.b/email\.j2"):
        mail(directory, {"zero": 0})


def test_a_template_without_a_block_fails(directory: Path) -> None:
    put(directory, "a.b/email.j2", MAIL.replace("subject", "heading"))
    with pytest.raises(TemplateFailed, match="no block 'subject'"):
        mail(directory, {})


def test_in_app_words_that_fail_fall_back_to_the_default(directory: Path) -> None:
    put(
        directory,
        "a.b/inApp.j2",
        "{% block title %}{{ nights }}{% endblock %}{% block message %}{% endblock %}",
    )
    render = Render(directory=directory)
    assert render.words("acme", "a.b", {"nights": 3}) == ("3", None)
    assert render.words("acme", "a.b", {}) == ("Notification", None)


def test_a_template_may_name_who_caused_it(directory: Path) -> None:
    put(
        directory,
        "a.b/inApp.j2",
        "{% block title %}By {{ actor }}{% endblock %}{% block message %}{% endblock %}",
    )
    assert Render(directory=directory).words("acme", "a.b", {}, "user:7") == ("By user:7", None)


@pytest.mark.parametrize(
    ("locale", "text"), [("pt-BR", "Brasil"), ("pt-PT", "Portugal"), ("de", "plain"), (None, "plain")]
)
def test_the_nearest_language_is_chosen(directory: Path, locale: str | None, text: str) -> None:
    put(directory, "a.b/email.j2", MAIL.replace("T{", "plain{"))
    put(directory, "a.b/email.pt.j2", MAIL.replace("T{", "Portugal{"))
    put(directory, "a.b/email.pt-BR.j2", MAIL.replace("T{", "Brasil{"))
    assert mail(directory, {}, locale=locale).text == f"{text}\n"


def test_a_types_own_words_in_another_language_win_over_the_defaults_in_the_readers(directory: Path) -> None:
    put(directory, "a.b/email.j2", MAIL)
    put(directory, "default/email.de.j2", MAIL.replace("T{", "deutsch{"))
    assert mail(directory, {}, locale="de").text == "T\n"


def test_styles_are_never_fetched_from_elsewhere(directory: Path) -> None:
    link = '<link rel="stylesheet" href="http://127.0.0.1:1/style.css">'
    put(directory, "a.b/email.j2", MAIL.replace("H{", f"{link}<p>hello</p>{{"))
    assert "hello" in (mail(directory, {}).html or "")


# -- what a block does to its frame ------------------------------------------------------------------
def html_of(directory: Path, block: str) -> str:
    put(directory, "a.b/email.j2", MAIL.replace("H{", block + "{"))
    html = mail(directory, {}).html
    assert html is not None
    return html


@pytest.mark.parametrize("block", ["</td></tr></table></body></html>H", "<table><tr><td><b>H", "<!-- H"])
def test_what_a_block_leaves_open_or_closes_ends_within_its_frame(directory: Path, block: str) -> None:
    parser = CSSInliner(inline_style_tags=False, keep_style_tags=True, load_remote_stylesheets=False)
    whole, broken = (parser.inline(html_of(directory, one)) for one in ("H", block))
    start, end = whole.split("\nH\n")
    assert broken.startswith(start)
    assert broken.endswith(end)


def test_a_block_gets_the_styles_of_the_frame_and_may_bring_its_own(directory: Path) -> None:
    assert '<p style="margin: 0 0 16px;">H</p>' in html_of(directory, "<p>H</p>")
    html = html_of(directory, "<style>p { color: #123456 }</style><p>H</p>")
    assert '<p style="margin: 0 0 16px;color: #123456;">H</p>' in html
    assert html.count("<style>") == 1
