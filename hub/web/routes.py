"""THE table of routes: what exists, who may call it, and what it does in a line.

The application is built from it, and so is what describes it. A more specific path stands before a more
general one.
"""

from __future__ import annotations

from aiohttp import web

from hub.web import admin as admins
from hub.web import (
    broadcast,
    callbacks,
    demo,
    descriptions,
    error_pages,
    inbox,
    location,
    metrics,
    notifications,
    outbox,
    pages,
    people,
    plain,
    preferences,
    presence,
    push,
    reports,
    sse,
    suppressions,
    templates,
    tickets,
    types,
    unsubscribe,
)
from hub.web.context import Services
from hub.web.routing import Route, admin, assemble, backend, platform, public, stream, user

ROUTES: tuple[Route, ...] = (
    # Streams.
    stream("/notifications/sse", sse.events, "The caller's events as they happen", access="user"),
    stream("/notifications/sse/test", sse.test, "A stream to try things out with", access="public"),
    stream("/sse/notifications", sse.notification_messages, "Notifications, unnamed", access="user"),
    stream("/sse/bookings", sse.booking_messages, "What happens to bookings, unnamed", access="user"),
    stream("/api/notifications/stream", sse.notification_envelopes, "Notifications, wrapped", access="user"),
    stream("/ws/notifications", plain.accept, "The same on a plain WebSocket", access="user"),
    # The caller's own notification centre.
    user(
        "GET",
        "/notifications",
        inbox.page,
        "The caller's notifications, newest first",
        short=True,
        look=inbox.look_at_page,
    ),
    user(
        "GET",
        "/notifications/unread-count",
        inbox.unread_count,
        "How many are unread",
        short=True,
        look=inbox.look_at_count,
    ),
    user("GET", "/notifications/stats", inbox.stats, "What the caller has, by type and by channel"),
    user("PATCH", "/notifications/read-all", inbox.mark_all_read, "Mark all as read"),
    user("GET", "/notifications/preferences", preferences.show, "What the caller wants, and when"),
    user("PATCH", "/notifications/preferences", preferences.change, "Change what the caller wants"),
    user("POST", "/notifications/preferences", preferences.change, "The same, for clients without PATCH"),
    user("GET", "/notifications/{id}", inbox.one, "One notification"),
    user("DELETE", "/notifications/{id}", inbox.remove, "Remove one from the caller's inbox"),
    user("PATCH", "/notifications/{id}/read", inbox.mark_read, "Mark one as read"),
    user("PATCH", "/notifications/{id}/unread", inbox.mark_unread, "Mark one as unread"),
    user("PATCH", "/notifications/{id}/seen", inbox.mark_seen, "Mark one as seen"),
    user("PATCH", "/notifications/{id}/archive", inbox.archive, "Put one into the archive"),
    user("PATCH", "/notifications/{id}/unarchive", inbox.unarchive, "Take one back from the archive"),
    user("GET", "/notifications/{id}/timeline", inbox.timeline, "Every step of the caller's deliveries"),
    user("POST", "/auth/ticket", tickets.issue, "A single-use ticket for clients that cannot send headers"),
    user("PUT", "/me/location", location.put, "Where the caller is now"),
    user("DELETE", "/me/location", location.forget, "Forget where the caller is"),
    user("POST", "/me/push-subscriptions", push.subscribe, "Let this browser get web push"),
    user("GET", "/me/push-subscriptions", push.subscriptions, "The caller's browsers that get web push"),
    user("GET", "/me/push-subscriptions/key", push.key, "What a browser needs to subscribe"),
    user("DELETE", "/me/push-subscriptions/{id}", push.unsubscribe, "Let a browser get none any more"),
    # What backends send.
    backend(
        "POST",
        "/notifications",
        notifications.send,
        "Notify rooms or a user",
        short=True,
        straight=notifications.read,
    ),
    backend(
        "POST",
        "/notifications/batch",
        notifications.send_batch,
        "Many notifications in one request",
        short=True,
    ),
    backend("POST", "/notifications/explain", notifications.explain, "Who would get what, and why not"),
    backend("DELETE", "/notifications/{id}/pending", notifications.cancel_pending, "Cancel what is unsent"),
    backend(
        "POST", "/events", notifications.send_event, "Send a realtime event that enters no inbox", short=True
    ),
    backend("POST", "/api/sse/broadcast", broadcast.send, "Notify a whole tenant, in an older shape"),
    backend("PUT", "/users/batch", people.put_many, "Create or change many people"),
    backend("PUT", "/users/{id}", people.put, "Create or change a person's contact"),
    backend("GET", "/users/{id}", people.get, "A person's contact"),
    backend("DELETE", "/users/{id}", people.delete, "Forget a person's contact"),
    # What admins see and do.
    admin("GET", "/admin/presence", presence.overview, "Who is online, over all processes"),
    admin("GET", "/admin/notifications/logs", reports.logs, "What was sent to whom, also as CSV"),
    admin("GET", "/admin/notifications/stats", reports.stats, "Counts, delays and the queue"),
    admin("POST", "/admin/notifications/broadcast", admins.broadcast, "Notify a tenant or a role"),
    admin("GET", "/admin/notifications/{id}/timeline", reports.timeline, "Every step of a user's deliveries"),
    admin("GET", "/admin/deliveries", reports.deliveries, "Deliveries, dead letters among them"),
    admin("POST", "/admin/deliveries/{id}/retry", admins.retry, "Try a dead delivery again"),
    admin("GET", "/admin/suppressions", suppressions.page, "Addresses that get nothing any more"),
    admin("POST", "/admin/suppressions", suppressions.add, "Send an address nothing any more"),
    admin("DELETE", "/admin/suppressions/{channel}/{id}", suppressions.remove, "Let it get messages again"),
    admin("POST", "/admin/revoke", admins.revoke, "Call tokens back"),
    admin("POST", "/admin/connections/{sid}/disconnect", admins.disconnect, "End one connection"),
    admin("POST", "/admin/api-keys", admins.create_key, "Make an API key; its secret is shown once"),
    admin("GET", "/admin/api-keys", admins.keys, "API keys without their secrets"),
    admin("DELETE", "/admin/api-keys/{id}", admins.revoke_key, "Revoke an API key"),
    admin("GET", "/admin/preferences", preferences.defaults, "What the tenant wants by default"),
    admin("PUT", "/admin/preferences", preferences.set_defaults, "Say what the tenant wants by default"),
    admin("GET", "/admin/types", types.every, "Every event type and the rules that hold for it"),
    admin("GET", "/admin/types/{type}", types.one, "One event type and its rules"),
    admin("PUT", "/admin/types/{type}", types.put, "Put the tenant's own rules for a type in force"),
    admin("DELETE", "/admin/types/{type}", types.delete, "Back to the hub's own rules"),
    admin("GET", "/admin/templates", templates.every, "Every type and channel, and what is overridden"),
    admin("POST", "/admin/templates/preview", templates.preview, "What a reader would get"),
    admin("GET", "/admin/templates/{type}/{channel}", templates.one, "The source that is in force"),
    admin("PUT", "/admin/templates/{type}/{channel}", templates.put, "Put the tenant's own in force"),
    admin("DELETE", "/admin/templates/{type}/{channel}", templates.delete, "Back to the hub's own"),
    admin("GET", "/admin/audit", reports.audit, "What admins did"),
    platform("POST", "/admin/tenants", admins.create_tenant, "Create a tenant"),
    platform("PATCH", "/admin/tenants/{id}", admins.change_tenant, "Say how long its log is kept"),
    platform("GET", "/admin/tenants", admins.tenants, "All tenants"),
    # What providers say later; each post is judged by its signature.
    public("POST", "/providers/twilio/status", callbacks.of("twilio"), "What became of an SMS"),
    public("POST", "/providers/sendgrid/events", callbacks.of("sendgrid"), "What became of mails"),
    public("POST", "/providers/resend/events", callbacks.of("resend"), "What became of a mail"),
    # For who reads a mail and wants no more of them; each link says whose it is.
    public("GET", "/unsubscribe/{token}", unsubscribe.ask, "Ask a reader whether to unsubscribe"),
    public("POST", "/unsubscribe/{token}", unsubscribe.leave, "Unsubscribe, in one click (RFC 8058)"),
    # Pages and probes.
    public("GET", "/livez", pages.livez, "The process answers"),
    public("GET", "/readyz", pages.readyz, "The process should get traffic"),
    public("GET", "/metrics", metrics.metrics, "This process in numbers, for Prometheus"),
    public("GET", "/", pages.index, "The demo page"),
    public("GET", "/admin", pages.admin, "The dashboard; it asks for a token"),
    public("GET", "/docs", pages.docs, "The API, to read and to try"),
    public("GET", "/openapi.json", descriptions.rest, "This API, described"),
    public("GET", "/asyncapi.json", descriptions.events, "The live events, described"),
    public("GET", "/errors/{code}", error_pages.error, "What an error code means, and what to do"),
    public("GET", "/static/{path:[A-Za-z0-9._/-]{1,200}}", pages.static, "Files of the pages"),
    public("GET", "/dev/outbox", outbox.outbox, "What would have been sent", development=True),
    user("POST", "/dev/notifications/test", admins.test, "A notification to the caller", development=True),
    public("GET", "/dev/demo", demo.demo, "Who one can be in the demo", development=True),
    public("POST", "/dev/demo/booking", demo.demo_booking, "A made-up booking", development=True),
)


def make_app(hub: Services) -> web.Application:
    """The application that serves `hub`."""
    app = assemble(hub, ROUTES)
    hub.sockets.attach(app)
    return app
