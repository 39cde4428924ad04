"""What the doors are given: the services behind them, and the few plain values they need.

`Services` lists everything a handler may reach; `hub.app.Hub` fulfils it. The protocols hold only what
is called from here. The doors never see the settings, SQL or Redis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from hub.domain.access import ApiKey, Principal
from hub.domain.drafts import Contact, Draft, IdempotencyKey
from hub.domain.errors import Refusal
from hub.domain.events import Cursor, Registry
from hub.domain.message import Message

if TYPE_CHECKING:
    from hub.realtime.places import Places
    from hub.services.admin import AdminService
    from hub.services.callbacks import CallbackService
    from hub.services.delivered import Delivered
    from hub.services.explain import Explain
    from hub.services.inbox import Begun, Marked, Page
    from hub.services.ingest import Accepted
    from hub.services.preferences import PreferencesService
    from hub.services.push import PushService
    from hub.services.recovery import Recovery
    from hub.services.reports import ReportsService
    from hub.services.session import Session
    from hub.services.sessions import Sessions
    from hub.services.suppressions import SuppressionService
    from hub.services.templates import TemplatesService
    from hub.services.types import TypesService
    from hub.services.unsubscribe import UnsubscribeService
    from hub.services.whereabouts import Whereabouts
    from hub.web.plain import Plain
    from hub.web.sockets import Sockets
    from hub.web.sse import Sse
    from hub.web.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """Plain values from the settings; sizes in bytes, times in seconds."""

    development: bool
    max_body_bytes: int
    max_data_bytes: int
    max_json_depth: int
    max_batch: int
    max_rooms: int
    near_radius: float  # metres
    max_message_bytes: int
    events_most: int
    events_window: float
    body_timeout: float
    event_timeout: float
    cors_origins: tuple[str, ...]
    token_cookie: str
    token_in_query: bool
    trusted_proxies: tuple[str, ...]
    metrics_open: bool
    development_key: str  # of the platform; empty in production


class Tokens(Protocol):
    async def principal(self, token: str) -> Principal: ...
    def known_principal(self, token: str) -> Principal | None: ...
    async def ticket(self, who: Principal) -> tuple[str, int]: ...
    async def redeem(self, ticket: str) -> Principal: ...
    async def api_key(self, secret: str) -> ApiKey: ...
    def known(self, secret: str) -> ApiKey | None: ...
    def issue(self, who: Principal, expires_in: float) -> str: ...


class Ingest(Protocol):
    def begin(self, draft: Draft, key: IdempotencyKey | None, answer: Any) -> bool: ...
    async def accept(self, draft: Draft, key: IdempotencyKey | None = None) -> Accepted: ...
    async def accept_many(
        self, items: Sequence[tuple[Draft, IdempotencyKey | None]]
    ) -> list[Accepted | Refusal]: ...


class Inbox(Protocol):
    async def page(
        self,
        who: Principal,
        *,
        read: bool | None,
        archived: bool | None,
        type: str | None,
        limit: int,
        offset: int,
        after: Cursor | None,
    ) -> Page: ...
    def begin_page(
        self, who: Principal, *, read: bool | None, archived: bool | None, limit: int, offset: int
    ) -> Begun[Page | None] | None: ...
    def begin_unread_count(self, who: Principal) -> Begun[int]: ...
    async def envelope(self, who: Principal, id: str) -> dict[str, Any]: ...
    async def unread_count(self, who: Principal) -> int: ...
    async def mark_read(
        self, who: Principal, ids: Sequence[str], *, by: str | None = None
    ) -> dict[str, Any]: ...
    async def mark_all_read(self, who: Principal, *, by: str | None = None) -> dict[str, Any]: ...
    async def mark_unread(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked: ...
    async def mark_seen(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked: ...
    async def archive(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked: ...
    async def unarchive(self, who: Principal, ids: Sequence[str], *, by: str | None = None) -> Marked: ...
    async def remove(self, who: Principal, id: str) -> int: ...
    async def stats(self, who: Principal) -> dict[str, Any]: ...
    async def timeline(self, who: Principal, id: str) -> list[dict[str, Any]]: ...


class People(Protocol):
    async def put(self, tenant: str, contact: Contact) -> dict[str, Any]: ...
    async def put_many(self, tenant: str, contacts: Sequence[Contact]) -> list[dict[str, Any]]: ...
    async def get(self, tenant: str, user: str) -> dict[str, Any]: ...
    async def delete(self, tenant: str, user: str) -> None: ...


class Deliveries(Protocol):
    async def cancel_pending(self, tenant: str, event_id: str, now: datetime) -> int: ...


class Outbox(Protocol):
    async def recent(self, *, limit: int) -> Sequence[Message]: ...


class Presence(Protocol):
    async def ask(self, session: Session, name: object) -> dict[str, Any]: ...
    async def overview(
        self, tenant: str, name: str | None, *, limit: int, named: Sequence[str]
    ) -> dict[str, Any]: ...


class Services(Protocol):
    """Everything behind the doors."""

    @property
    def options(self) -> WebOptions: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def places(self) -> Places: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def ingest(self) -> Ingest: ...
    @property
    def explain(self) -> Explain: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def people(self) -> People: ...
    @property
    def preferences(self) -> PreferencesService: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def delivered(self) -> Delivered: ...
    @property
    def presence(self) -> Presence: ...
    @property
    def whereabouts(self) -> Whereabouts: ...
    @property
    def admin(self) -> AdminService: ...
    @property
    def templates(self) -> TemplatesService: ...
    @property
    def types(self) -> TypesService: ...
    @property
    def reports(self) -> ReportsService: ...
    @property
    def callbacks(self) -> CallbackService: ...
    @property
    def push(self) -> PushService: ...
    @property
    def suppressions(self) -> SuppressionService: ...
    @property
    def unsubscribe(self) -> UnsubscribeService: ...
    @property
    def sockets(self) -> Sockets: ...
    @property
    def sse(self) -> Sse: ...
    @property
    def plain(self) -> Plain: ...
    @property
    def traffic(self) -> Traffic: ...

    async def metrics(self) -> tuple[bytes, str]:
        """This process in numbers, for Prometheus, and the media type they are in."""

    async def faults(self) -> Mapping[str, str]:
        """Why this process should get no traffic now, by the name of the part; empty when it is ready."""


HUB: web.AppKey[Services] = web.AppKey("hub")
REQUEST_ID = web.RequestKey("request_id", str)
