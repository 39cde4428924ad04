"""Each promise that other programs rely on, beside the routes, and the test that holds it.

Routes are in `test_proofs`. A row is what somebody would look up in docs/protocol.md, docs/api.md or
docs/deliveries.md. What the code itself lists (events, streams, channels, states) is compared with it, so
that nothing new comes without its row.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.domain.delivery import Status
from hub.domain.events import CHANNELS
from hub.web.events import EVENTS
from hub.web.openapi.signals import SENDS
from hub.web.routes import ROUTES
from tasks.queues import QUEUES

TESTS = Path(__file__).parents[1]
SESSIONS, RECOVERY = "integration/test_sessions.py", "integration/test_recovery.py"
REPLAY, RIGHTS = "integration/test_session_replay.py", "integration/test_session_rights.py"
CONTRACT, MARKS = "integration/test_web_contract.py", "integration/test_inbox_marks.py"
PRESENCE, DELIVERED = "integration/test_presence.py", "integration/test_delivered.py"
TOKENS, STREAMS = "unit/test_tokens.py", "integration/test_stream_paths.py"
NOTIFY, FRONT = "unit/test_web_notifications.py", "unit/test_web_front.py"
REFUSALS, REVOKED = "integration/test_web_refusals.py", "integration/test_revocation.py"
SETTINGS, TEMPLATES = "unit/test_settings.py", "unit/test_templates.py"
STATES, SAID_ON = "unit/test_delivery_states.py", "unit/test_channels_said.py"
DESCRIBED, NEARBY = "integration/test_events_described.py", "integration/test_nearby.py"
MALFORMED, PROVIDERS = "integration/test_realtime_malformed.py", "integration/test_providers.py"
DELIVER, UNSENT = "integration/test_deliver.py", "integration/test_deliver_unsent.py"
GATES, COLLAPSE = "integration/test_deliver_gates.py", "integration/test_collapse.py"
RETENTION = "integration/test_store_retention.py"
ALL_STATES = (STATES, "test_every_state_can_be_reached_from_planned")
ON_SOCKETS = (DESCRIBED, "test_everything_on_socketio_is_described")
NEWS = (PRESENCE, "test_a_user_is_announced_once_and_a_reconnect_not_at_all")
SEEN_ELSEWHERE = (MARKS, "test_each_mark_changes_its_own_fields_and_doing_it_twice_changes_nothing")

Proofs = dict[str, tuple[str, str]]

WHO: Proofs = {
    "sub, tenant, roles, sid, topics, jti": (TOKENS, "test_the_standard_claims_are_read"),
    "the aliases of claims": (TOKENS, "test_the_aliases_of_other_programs_are_read"),
    "exp, size, algorithm": (TOKENS, "test_a_bad_token_is_refused"),
    "leeway": (TOKENS, "test_an_expired_token_has_its_own_code_after_the_leeway"),
    "aud and iss": (TOKENS, "test_audience_and_issuer_are_required_once_they_are_configured"),
    "JWKS": (TOKENS, "test_a_jwks_verifies_by_key_id_and_never_by_the_secret"),
    "a weak secret": (SETTINGS, "test_production_refuses_what_is_unsafe_and_names_it"),
    "header, auth, cookie, ticket, query": (
        RIGHTS,
        "test_a_token_may_stand_in_header_query_cookie_or_ticket",
    ),
    "a ticket is single use": (TOKENS, "test_a_ticket_speaks_for_its_owner_once"),
    "no token in a log": ("integration/test_secrets_in_logs.py", ""),
    "warned before exp, closed after it": (
        RIGHTS,
        "test_a_connection_is_warned_and_closed_when_its_token_ends",
    ),
    "refresh": (RIGHTS, "test_a_refresh_puts_the_end_off"),
    "revoked by user, session, jti, time": (
        REVOKED,
        "test_what_is_revoked_ends_on_every_transport_of_every_process",
    ),
    "a changed role moves rooms": (RIGHTS, "test_a_refreshed_token_moves_rooms_and_keeps_the_session"),
    "the same for streams": (STREAMS, "test_a_revoked_token_ends_its_stream_and_cannot_come_back"),
    "a tenant must exist": (REFUSALS, "test_a_tenant_that_nobody_created_is_unknown"),
    "API keys and scopes": (REFUSALS, "test_keys_are_refused_when_they_are_revoked_foreign_or_too_small"),
    "Authorization or X-API-Key": (NOTIFY, "test_a_key_may_stand_in_either_header_and_admin_includes_notify"),
    "every route, every caller": (REFUSALS, "test_every_route_lets_in_whom_its_entry_names_and_nobody_else"),
    "nothing crosses tenants": (
        "chaos/test_f16_isolation.py",
        "test_nothing_crosses_from_one_tenant_to_another",
    ),
}
ENVELOPE: Proofs = {
    "its fields": (CONTRACT, "test_what_was_accepted_stands_in_the_inbox_as_the_contract_shows_it"),
    "live and REST are one": (SESSIONS, "test_a_notification_arrives_under_both_names_and_is_one_envelope"),
    "channels of the caller": (
        "integration/test_deliveries_shown.py",
        "test_a_person_sees_their_own_deliveries_of_the_events_asked_for",
    ),
    "aliases of types": (TEMPLATES, "test_every_alias_leads_to_its_type"),
    "every type has its words": (TEMPLATES, "test_every_registered_type_has_its_own_in_app_words"),
    "an unknown type": (TEMPLATES, "test_a_type_nobody_registered_has_the_default_words"),
}
SOCKETS: Proofs = {
    "stock clients with default options": (
        "integration/test_stock_clients.py",
        "test_all_stock_clients_hear_the_same_events_in_the_same_order",
    ),
    "the plain WebSocket": (SESSIONS, "test_the_plain_websocket_speaks_the_same_language"),
    "auth.events": (SESSIONS, "test_auth_events_chooses_the_names"),
    "auth.types": (SESSIONS, "test_auth_types_filters_live_and_replayed_events_alike"),
    "auth.recovery": (RECOVERY, "test_a_dropped_connection_is_itself_again_on_another_process"),
    "no argument without auth.recovery": (
        RECOVERY,
        "test_only_who_asks_for_it_gets_a_pid_and_a_last_argument",
    ),
    "the rate limit": (SESSIONS, "test_a_flood_of_events_is_slowed_then_closed"),
    "64 KiB": (MALFORMED, "test_a_message_over_the_limit_closes_with_1009_and_413"),
    "no binary, depth, reserved names": (MALFORMED, "test_a_malformed_packet_closes_and_leaves_no_zombie"),
    "a foreign room": (RIGHTS, "test_a_foreign_room_is_an_error"),
}
CLIENT_SAYS: Proofs = {
    "ping": (SESSIONS, "test_ping_works_without_an_argument_and_without_an_acknowledgement"),
    "joinRoom": (RIGHTS, "test_a_topic_is_joined_by_right_and_left_at_will"),
    "leaveRoom": (RIGHTS, "test_a_topic_is_joined_by_right_and_left_at_will"),
    "getPresence": (PRESENCE, "test_stats_count_users_roles_connections_and_sessions_of_all_processes"),
    "markNotificationRead": (SESSIONS, "test_a_read_mark_reaches_the_users_other_screens"),
    "markAllRead": ON_SOCKETS,
    "markSeen": ON_SOCKETS,
    "refresh": (RIGHTS, "test_a_refreshed_token_moves_rooms_and_keeps_the_session"),
    "updateLocation": (NEARBY, "test_a_client_says_where_it_is_and_hears_of_a_job_nearby"),
    "ack": (DELIVERED, "test_what_was_acknowledged_is_delivered_in_the_timeline"),
}
HUB_SAYS: Proofs = {
    "connected": (SESSIONS, "test_connected_says_where_the_client_stands"),
    "notification:new": (SESSIONS, "test_a_notification_arrives_under_both_names_and_is_one_envelope"),
    "notification:read": (SESSIONS, "test_a_read_mark_reaches_the_users_other_screens"),
    "notification:read_all": (CONTRACT, "test_reading_is_told_counted_and_shown"),
    "notification:seen": SEEN_ELSEWHERE,
    "notification:updated": SEEN_ELSEWHERE,
    "notification:deleted": (MARKS, "test_what_one_deletes_stays_with_the_others"),
    "notification:unread_count": (CONTRACT, "test_reading_is_told_counted_and_shown"),
    "preferences:updated": (
        "integration/test_preferences.py",
        "test_what_is_said_stays_until_it_is_taken_back_and_is_told_live",
    ),
    "delivery:update": (
        "integration/test_provider_doors.py",
        "test_what_a_provider_says_is_live_on_the_persons_and_the_admins_screens",
    ),
    "presence:join": NEWS,
    "presence:leave": (PRESENCE, "test_a_leave_comes_when_the_grace_is_over"),
    "heartbeat": (SESSIONS, "test_heartbeats_and_keep_alive_comments_come_by_themselves"),
    "auth:expiring": (RIGHTS, "test_a_connection_is_warned_and_closed_when_its_token_ends"),
    "sync:reset": (REPLAY, "test_a_cursor_that_cannot_be_honoured_says_why"),
    "server:draining": (SESSIONS, "test_draining_tells_every_client_when_to_come_back"),
    "session:closed": (RIGHTS, "test_one_user_has_a_bounded_number_of_connections"),
    "pong": (SESSIONS, "test_ping_works_without_an_argument_and_without_an_acknowledgement"),
    "joinedRoom": (RIGHTS, "test_a_topic_is_joined_by_right_and_left_at_will"),
    "leftRoom": (RIGHTS, "test_a_topic_is_joined_by_right_and_left_at_will"),
    "presenceStats": (PRESENCE, "test_stats_count_users_roles_connections_and_sessions_of_all_processes"),
    "notificationRead": (SESSIONS, "test_a_read_mark_reaches_the_users_other_screens"),
    "locationUpdated": (NEARBY, "test_a_client_says_where_it_is_and_hears_of_a_job_nearby"),
    "auth:refreshed": (RIGHTS, "test_a_refresh_puts_the_end_off"),
    "error": (RIGHTS, "test_a_foreign_room_is_an_error"),
}
SSE: Proofs = {
    "/notifications/sse": (REPLAY, "test_one_cursor_brings_back_what_was_missed_on_any_transport"),
    "/notifications/sse/test": (SESSIONS, "test_the_test_stream_needs_no_token_and_ticks"),
    "/sse/notifications": (
        STREAMS,
        "test_unnamed_notifications_begin_with_connected_and_have_the_older_names",
    ),
    "/sse/bookings": (STREAMS, "test_bookings_are_all_that_a_reader_of_bookings_hears"),
    "/api/notifications/stream": (STREAMS, "test_wrapped_notifications_are_typed_and_timed"),
    "headers": (SESSIONS, "test_a_stream_has_the_headers_that_proxies_need"),
    "keep-alive": (STREAMS, "test_every_stream_shows_life_in_its_own_way"),
    "Last-Event-ID wins": (STREAMS, "test_the_place_in_the_address_counts_and_the_header_wins"),
    "types and rooms": (STREAMS, "test_types_and_rooms_are_chosen_as_on_every_stream"),
    "gzip": (SESSIONS, "test_a_compressed_stream_is_readable_at_once"),
    "its age": (SESSIONS, "test_a_stream_ends_at_its_age_and_the_client_misses_nothing"),
    "401 in the path's own words": (STREAMS, "test_nobody_is_refused_in_the_words_of_the_path"),
    "format": (STREAMS, "test_format_overrides_the_dialect_on_every_path"),
    "a tenant in the query": (STREAMS, "test_a_tenant_in_the_address_changes_nothing"),
}
CURSOR: Proofs = {
    "contiguous, in commit order": ("integration/test_store_events.py", ""),
    "the same on every transport": (
        REPLAY,
        "test_one_cursor_brings_back_what_was_missed_on_any_transport",
    ),
    "epoch, trimmed, invalid": (REPLAY, "test_a_cursor_that_cannot_be_honoured_says_why"),
    "limit": (REPLAY, "test_more_than_the_replay_limit_is_not_replayed"),
    "volatile events": (REPLAY, "test_a_volatile_event_is_shown_and_not_replayed"),
    "once, whatever is lost": ("chaos/test_bookings_storm.py", ""),
}
REST: Proofs = {
    "problem+json": ("unit/test_web_reading.py", "test_every_refusal_is_one_shape"),
    "Retry-After": ("unit/test_web_reading.py", "test_retry_after_is_whole_seconds_and_at_least_one"),
    "X-Request-Id": (FRONT, "test_a_request_id_is_kept_or_made"),
    "limit, offset, after, Link": (CONTRACT, "test_pages_filters_and_cursors_of_an_inbox"),
    "ETag": (CONTRACT, "test_an_etag_holds_until_something_changes"),
    "every form of to": (NOTIFY, "test_every_form_of_to_is_read"),
    "near": (NEARBY, "test_the_nearest_are_told_when_there_are_too_many"),
    "recipientId": (CONTRACT, "test_the_older_shape_does_the_same"),
    "Idempotency-Key": (CONTRACT, "test_fifty_at_once_with_one_key_are_one_notification"),
    "a key with another body": (NOTIFY, "test_a_key_with_another_body_or_another_route_is_a_conflict"),
    "a key in a batch": (NOTIFY, "test_an_entry_may_be_repeated_in_a_batch_or_alone"),
    "sendAt": (CONTRACT, "test_a_scheduled_notification_is_not_there_yet_and_can_be_taken_back"),
    "expiresAt": (UNSENT, "test_what_has_expired_is_skipped"),
    "exclude": (SESSIONS, "test_a_client_gets_only_what_its_rooms_get_and_never_what_excludes_it"),
    "exclude and actor on outside channels": (
        "integration/test_explain.py",
        "test_what_is_explained_is_what_then_happens",
    ),
    "explain": ("integration/test_explain.py", "test_what_is_explained_is_what_then_happens"),
    "the quota": (
        "integration/test_trouble.py",
        "test_a_tenant_over_its_quota_is_told_to_wait_and_harms_nobody_else",
    ),
    "described as it is": ("integration/test_described.py", "test_what_is_described_is_what_happens"),
}
ON_CHANNEL: Proofs = {
    "inApp": ("unit/test_routing.py", "test_in_app_is_never_a_delivery"),
    "email": (DELIVER, "test_a_delivery_is_sent_once_and_watchers_are_told"),
    "sms": (PROVIDERS, "test_a_message_is_taken_and_the_receipt_names_it"),
    "discord": ("integration/test_discord.py", "test_an_embed_arrives_and_nobody_is_mentioned"),
    "webpush": (PROVIDERS, "test_a_push_is_encrypted_for_its_browser_and_signed_by_the_hub"),
}
STATUS: Proofs = {
    **dict.fromkeys(("planned", "queued", "sending", "delivered", "opened", "unknown"), ALL_STATES),
    "sent": (DELIVER, "test_a_delivery_is_sent_once_and_watchers_are_told"),
    "failed": (STATES, "test_people_read_retrying_for_failed_and_the_word_itself_for_the_rest"),
    "dead": (DELIVER, "test_what_is_refused_for_good_is_dead_at_once"),
    "skipped": (STATES, "test_watchers_are_told_why_a_delivery_was_skipped"),
    "cancelled": (UNSENT, "test_what_was_cancelled_is_not_sent"),
}
SENDING: Proofs = {
    "sandbox": (UNSENT, "test_the_sandbox_keeps_what_would_have_been_sent"),
    "queues and what a task carries": (
        "integration/test_worker.py",
        "test_a_message_is_an_id_and_nothing_else_and_only_json_is_read",
    ),
    "the subjects that are kept": (TEMPLATES, "test_the_subjects_that_programs_know_are_kept"),
    "the texts that are kept": (SAID_ON, "test_the_texts_that_programs_know_are_kept"),
    "colors and fields on Discord": (SAID_ON, "test_payments_and_errors_as_embeds"),
    "nobody is mentioned": ("integration/test_discord.py", "test_an_embed_arrives_and_nobody_is_mentioned"),
    "a callback must be signed": (
        "integration/test_provider_doors.py",
        "test_what_is_forged_or_old_is_not_believed",
    ),
}
WHEN: Proofs = {
    "muted": (GATES, "test_what_was_muted_meanwhile_is_not_sent"),
    "quiet hours": (
        GATES,
        "test_a_retry_that_falls_into_quiet_hours_waits_for_their_end_and_counts_no_attempt",
    ),
    "critical severity": (GATES, "test_what_is_critical_passes_quiet_hours"),
    "digest": (GATES, "test_what_waits_for_a_digest_leaves_in_one_message_each_once"),
    "throttle and budgets": (GATES, "test_no_more_is_granted_than_there_is_however_many_ask_at_once"),
    "escalation": (GATES, "test_what_was_seen_is_not_escalated"),
    "escalation ends at once": (
        "integration/test_escalation.py",
        "test_its_end_is_told_live_and_stands_in_the_timeline",
    ),
    "collapseKey": (COLLAPSE, "test_a_newer_notification_takes_the_place_of_the_older"),
    "collapseKey, not what was sent or read": (COLLAPSE, "test_what_is_sent_or_read_stays"),
    "collapseKey, only the same rooms": (COLLAPSE, "test_only_what_both_went_to_is_replaced"),
    "collapseKey, in one transaction": (
        COLLAPSE,
        "test_the_newer_is_stored_and_the_older_taken_back_together_or_not_at_all",
    ),
    "collapseKey, counts told": (
        COLLAPSE,
        "test_everybody_whose_inbox_has_lost_one_is_told_their_own_count",
    ),
    "collapseKey, scheduled": (COLLAPSE, "test_drafts_that_wait_are_replaced_as_well"),
    "the daily report": (
        "integration/test_daily_report.py",
        "test_admins_are_told_of_yesterday_once_whatever_number_of_workers_asks",
    ),
    "no rule is broken by any schedule": ("integration/test_deliver_schedules.py", ""),
    "retention, also of a tenant": (RETENTION, "test_a_tenant_may_have_days_of_its_own"),
    "what goes with an event": (RETENTION, "test_everything_that_hangs_on_an_event_goes_with_it"),
}
KEPT: Proofs = {
    "the names of the seeds": (SETTINGS, "test_the_names_that_programs_already_use_are_all_there"),
    "unset: nothing outside": (SETTINGS, "test_nothing_set_is_a_development_hub_that_needs_nothing"),
    "production refuses": (SETTINGS, "test_production_names_all_that_is_unsafe_at_once"),
}
TABLES = {
    "who": WHO,
    "envelope": ENVELOPE,
    "sockets": SOCKETS,
    "client says": CLIENT_SAYS,
    "hub says": HUB_SAYS,
    "sse": SSE,
    "cursor": CURSOR,
    "rest": REST,
    "channel": ON_CHANNEL,
    "status": STATUS,
    "sending": SENDING,
    "when": WHEN,
    "settings": KEPT,
}
ROWS = {f"{table}: {row}": proof for table, rows in TABLES.items() for row, proof in rows.items()}


def test_nothing_that_the_code_lists_is_without_its_row() -> None:
    assert set(CLIENT_SAYS) == set(EVENTS)
    assert set(HUB_SAYS) == set(SENDS)
    streams = {route.path for route in ROUTES if not route.head}
    assert streams - {"/ws/notifications"} == {row for row in SSE if row.startswith("/")}
    assert set(ON_CHANNEL) == set(CHANNELS)
    assert set(STATUS) == {status.value for status in Status}
    assert {f"notification.{channel}" for channel in ON_CHANNEL if channel != "inApp"} <= set(QUEUES)


@pytest.mark.parametrize("row", ROWS)
def test_the_proof_is_there(row: str) -> None:
    file, name = ROWS[row]
    text = (TESTS / file).read_text()
    # Without a name: the whole file is about it.
    assert re.search(rf"^(async )?def {name or 'test_'}", text, re.MULTILINE), f"{row}: no {name} in {file}"
    assert not name or re.search(rf"\b{name}\(", text)
