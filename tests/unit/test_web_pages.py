"""Pages, static files, probes and the development outbox, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.web import pages
from tests.doors import doors, message


@pytest.fixture
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built site, with a secret beside it."""
    site = tmp_path / "static"
    (site / "assets").mkdir(parents=True)
    (site / "index.html").write_text("<h1>demo</h1>")
    (site / "assets" / "index-abc123.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("canary")
    (site / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr(pages, "STATIC", site)
    return site


async def test_the_built_page_is_served_at_the_root(static: Path) -> None:
    async with doors() as web:
        answer = await web.get("/")
        named = await web.get("/static/index.html")
    assert (answer.status, answer.type, answer.body) == (200, "text/html", b"<h1>demo</h1>")
    assert named.body == answer.body
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


async def test_a_missing_build_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STATIC", tmp_path / "static")
    async with doors() as web:
        answer = await web.get("/")
        assert (answer.status, answer.type) == (404, "text/html")
        assert b"not built" in answer.body
        assert b"make js" in answer.body
        assert (await web.get("/static/index.html")).refused == (404, "not_found")


async def test_files_with_a_digest_in_their_name_may_be_kept_for_ever(static: Path) -> None:
    async with doors() as web:
        answer = await web.get("/static/assets/index-abc123.js")
        again = await web.get(
            "/static/assets/index-abc123.js", headers={"If-None-Match": answer.headers["ETag"]}
        )
    assert answer.status == 200
    assert "javascript" in answer.type
    assert "immutable" in answer.headers["Cache-Control"]
    assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/assets",
        "/static/none.js",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/assets/..%2f..%2fsecret.txt",
        "/static/link.txt",
        "/static//etc/passwd",
        "/static/%00",
        "/static/index.html%00.js",
        "/static/" + "x" * 300,
    ],
)
async def test_nothing_outside_the_site_is_served(static: Path, path: str) -> None:
    async with doors() as web:
        answer = await web.get(path)
    assert answer.refused == (404, "not_found")
    assert b"canary" not in answer.body


async def test_live_is_not_ready() -> None:
    async with doors() as web:
        assert (await web.get("/readyz")).json == {"status": "ready"}
        web.hub.unwell = {"database": "does not answer", "hub": "is shutting down"}
        assert (await web.get("/livez")).json == {"status": "alive"}
        unready = await web.get("/readyz")
    assert unready.refused == (503, "unavailable")
    assert unready.fields == web.hub.unwell
    assert unready.headers["Retry-After"] == "1"


async def test_the_outbox_is_json_newest_first() -> None:
    async with doors() as web:
        web.hub.messages = [message(), message(html="<p>x</p>")]
        answer = await web.get("/dev/outbox")
        assert len((await web.get("/dev/outbox?limit=1")).json) == 1
        assert (await web.get("/dev/outbox?limit=0")).refused == (422, "validation_failed")
    assert answer.json[0] == {
        "id": "01J9Z3K4M5N6P7Q8R9S0T1V2W3",
        "tenantId": "acme",
        "userId": "ana",
        "channel": "email",
        "to": "ana@example.com",
        "subject": "Booked",
        "text": "Room 4 is yours",
        "html": None,
        "embed": None,
        "link": None,
        "at": "2026-11-20T10:00:00.000Z",
    }


async def test_the_outbox_draws_each_channel_as_it_would_look() -> None:
    embed = {
        "title": "New <b>Booking",
        "url": "https://app.example.org/b/1",
        "color": 0x00FF00,
        "description": r"\*said\*",
        "fields": [{"name": "Guest", "value": r"Ana \<i>", "inline": True}],
        "footer": {"text": "and 2 more"},
        "timestamp": "2026-11-20T10:00:00.000Z",
    }
    async with doors() as web:
        web.hub.messages = [
            message(channel="sms", text="Check-in <tomorrow>"),
            message(channel="discord", embed=embed),
            message(channel="webpush", subject="Fresh", link="https://app.example.org/b/2"),
        ]
        shown = (await web.get("/dev/outbox", headers={"Accept": "text/html"})).body.decode()
        listed = (await web.get("/dev/outbox")).json
    assert '<p class="bubble">Check-in &lt;tomorrow&gt;</p>' in shown
    assert "1 segment" in shown
    assert "border-color:#00ff00" in shown
    assert "New &lt;b&gt;Booking" in shown
    assert "*said*" in shown
    assert "<dt>Guest</dt><dd>Ana &lt;i&gt;</dd>" in shown
    assert '<div class="push">' in shown
    assert listed[1]["embed"] == embed
    assert listed[2]["link"] == "https://app.example.org/b/2"


async def test_a_browser_sees_the_outbox_as_a_page_that_runs_nothing() -> None:
    accept = {"Accept": "text/html,application/xhtml+xml"}
    async with doors() as web:
        empty = await web.get("/dev/outbox", headers=accept)
        web.hub.messages = [
            message(subject="<script>s", text="<b>t", address="<i>a"),
            message(html='<p title="q">mail</p><script>m()</script>'),
        ]
        page = await web.get("/dev/outbox", headers=accept)
        assert (await web.get("/dev/outbox?format=json", headers=accept)).type == "application/json"
    assert (empty.type, page.type) == ("text/html", "text/html")
    assert b"Nothing yet" in empty.body
    text = page.body.decode()
    assert '<h2 class="title">&lt;script&gt;s' in text
    assert "<script>" not in text
    assert "<b>t" not in text
    assert "<i>a" not in text
    assert '<iframe sandbox="" srcdoc="&lt;p title=&quot;q&quot;&gt;mail' in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/dev/outbox"), ("GET", "/dev/demo"), ("POST", "/dev/demo/booking")]
)
async def test_nothing_of_development_exists_in_production(method: str, path: str) -> None:
    async with doors(development=False) as web:
        web.hub.messages = [message()]
        assert (await web.call(method, path)).refused == (404, "not_found")
    async with doors() as web:
        assert (await web.call(method, path)).status != 404


@pytest.mark.parametrize("page", ["docs", "admin"])
async def test_the_page_of_the_api_and_the_dashboard_may_load_from_the_hub_alone(
    static: Path, page: str
) -> None:
    (static / f"{page}.html").write_text("<h1>a page</h1>")
    async with doors() as web:
        answer = await web.get(f"/{page}")
    assert (answer.status, answer.body) == (200, b"<h1>a page</h1>")
    rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"


async def test_the_outbox_knows_one_other_format() -> None:
    async with doors() as web:
        assert (await web.get("/dev/outbox?format=xml")).refused == (400, "invalid_request")
        assert (await web.get("/dev/outbox?format=")).status == 200
