"""Every route is proven by a test that is named here, against a hub with nothing behind it left out.

Who may call a route is proven for all of them at once in `test_web_refusals`, and that each answer is as
described by whichever test gets it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.web.openapi.document import name_of
from hub.web.routes import ROUTES

TESTS = Path(__file__).parents[1]
CONTRACT, MARKS = "integration/test_web_contract.py", "integration/test_inbox_marks.py"
ADMIN, REPORTS = "integration/test_admin.py", "integration/test_admin_reports.py"
STREAMS, PAGES = "integration/test_stream_paths.py", "unit/test_web_pages.py"
EACH_MARK = (MARKS, "test_each_mark_changes_its_own_fields_and_doing_it_twice_changes_nothing")
OWN_WORDS = "integration/test_templates_own.py"
TEMPLATES = (OWN_WORDS, "test_a_tenants_words_are_put_in_force_and_taken_back")
OWN_RULES = ("integration/test_type_rules.py", "test_a_tenants_rules_are_put_in_force_and_taken_back")
PREFERENCES = "integration/test_preferences.py"
WISHES = (PREFERENCES, "test_what_is_said_stays_until_it_is_taken_back_and_is_told_live")
DEFAULTS = (PREFERENCES, "test_a_tenants_defaults_hold_for_who_has_said_nothing")
A_PERSON = (CONTRACT, "test_a_person_is_created_changed_shown_and_forgotten")
A_KEY = (ADMIN, "test_a_key_is_shown_once_works_and_can_be_ended")
A_TENANT = (ADMIN, "test_the_platform_creates_and_lists_tenants")
ON_CHANNELS = "integration/test_events_described.py"
TRIED = ("integration/test_described.py", "test_what_is_described_is_what_happens")
SUPPRESSED = (
    "integration/test_suppressions.py",
    "test_an_address_is_added_obeyed_seen_and_taken_back",
)
BROWSERS = "integration/test_push_subscriptions.py"
A_BROWSER = (BROWSERS, "test_a_browser_is_signed_on_listed_and_signed_off")
CALLED_BACK = (
    "integration/test_provider_doors.py",
    "test_what_a_provider_says_is_live_on_the_persons_and_the_admins_screens",
)
ENDED = "integration/test_unsubscribe.py"
DEMO = ("browser/test_demo_page.py", "test_a_booking_shows_at_once_as_event_count_toast_and_notification")
PROOFS: dict[str, tuple[str, str]] = {
    "GET /notifications/sse": (ON_CHANNELS, "test_everything_on_streams_is_described_in_each_dialect"),
    "GET /notifications/sse/test": (ON_CHANNELS, "test_everything_on_streams_is_described_in_each_dialect"),
    "GET /sse/notifications": (
        STREAMS,
        "test_unnamed_notifications_begin_with_connected_and_have_the_older_names",
    ),
    "GET /sse/bookings": (STREAMS, "test_bookings_are_all_that_a_reader_of_bookings_hears"),
    "GET /api/notifications/stream": (STREAMS, "test_wrapped_notifications_are_typed_and_timed"),
    "GET /ws/notifications": (ON_CHANNELS, "test_every_frame_of_a_plain_websocket_is_described"),
    "GET /notifications": (CONTRACT, "test_pages_filters_and_cursors_of_an_inbox"),
    "GET /notifications/unread-count": (CONTRACT, "test_reading_is_told_counted_and_shown"),
    "GET /notifications/stats": (MARKS, "test_counts_by_type_and_channel_are_the_callers_own"),
    "GET /notifications/{id}": EACH_MARK,
    "GET /notifications/{id}/timeline": (
        MARKS,
        "test_a_timeline_shows_every_step_of_the_callers_own_deliveries",
    ),
    "PATCH /notifications/read-all": (CONTRACT, "test_reading_is_told_counted_and_shown"),
    "PATCH /notifications/{id}/read": (CONTRACT, "test_reading_is_told_counted_and_shown"),
    "PATCH /notifications/{id}/unread": EACH_MARK,
    "PATCH /notifications/{id}/seen": EACH_MARK,
    "PATCH /notifications/{id}/archive": EACH_MARK,
    "PATCH /notifications/{id}/unarchive": EACH_MARK,
    "DELETE /notifications/{id}": (MARKS, "test_what_one_deletes_stays_with_the_others"),
    "GET /notifications/preferences": WISHES,
    "PATCH /notifications/preferences": WISHES,
    "POST /notifications/preferences": WISHES,
    "PUT /me/location": TRIED,
    "DELETE /me/location": TRIED,
    "POST /auth/ticket": (CONTRACT, "test_a_ticket_opens_one_stream"),
    "POST /notifications": (CONTRACT, "test_what_was_accepted_stands_in_the_inbox_as_the_contract_shows_it"),
    "POST /notifications/batch": (CONTRACT, "test_a_batch_is_stored_but_for_its_bad_entries"),
    "POST /notifications/explain": (
        "integration/test_explain.py",
        "test_what_is_explained_is_what_then_happens",
    ),
    "DELETE /notifications/{id}/pending": (
        CONTRACT,
        "test_what_was_not_sent_is_cancelled_once_and_only_by_its_tenant",
    ),
    "POST /events": (CONTRACT, "test_an_event_is_heard_and_stands_in_no_inbox"),
    "POST /api/sse/broadcast": (
        "unit/test_web_broadcast.py",
        "test_a_stored_row_reaches_the_room_of_its_tenant_and_nobody_is_mailed",
    ),
    "PUT /users/{id}": A_PERSON,
    "GET /users/{id}": A_PERSON,
    "DELETE /users/{id}": A_PERSON,
    "PUT /users/batch": (CONTRACT, "test_many_people_are_stored_all_or_none"),
    "GET /admin/presence": (
        "integration/test_presence.py",
        "test_the_overview_names_when_users_were_last_seen",
    ),
    "GET /admin/notifications/logs": (REPORTS, "test_a_row_of_the_log_has_the_fields_that_programs_know"),
    "GET /admin/notifications/stats": (REPORTS, "test_the_numbers_are_those_of_the_log"),
    "POST /admin/notifications/broadcast": (ADMIN, "test_a_broadcast_reaches_the_tenant_or_a_role"),
    "GET /admin/deliveries": (ADMIN, "test_a_dead_letter_is_found_tried_again_and_sent"),
    "POST /admin/deliveries/{id}/retry": (ADMIN, "test_a_dead_letter_is_found_tried_again_and_sent"),
    "POST /admin/revoke": (
        "integration/test_revocation.py",
        "test_what_is_revoked_ends_on_every_transport_of_every_process",
    ),
    "POST /admin/connections/{sid}/disconnect": (
        ADMIN,
        "test_an_admin_ends_one_connection_in_whatever_process_it_is",
    ),
    "POST /admin/api-keys": A_KEY,
    "GET /admin/api-keys": A_KEY,
    "DELETE /admin/api-keys/{id}": A_KEY,
    "POST /me/push-subscriptions": A_BROWSER,
    "GET /me/push-subscriptions": A_BROWSER,
    "DELETE /me/push-subscriptions/{id}": A_BROWSER,
    "GET /me/push-subscriptions/key": (BROWSERS, "test_the_key_is_the_hubs_own_and_nothing_goes_without_it"),
    "GET /admin/suppressions": SUPPRESSED,
    "POST /admin/suppressions": SUPPRESSED,
    "DELETE /admin/suppressions/{channel}/{id}": SUPPRESSED,
    "POST /providers/twilio/status": CALLED_BACK,
    "POST /providers/sendgrid/events": CALLED_BACK,
    "POST /providers/resend/events": CALLED_BACK,
    "GET /unsubscribe/{token}": (ENDED, "test_looking_changes_nothing_and_the_page_asks"),
    "POST /unsubscribe/{token}": (ENDED, "test_one_click_switches_off_one_type_of_one_person"),
    "GET /admin": ("browser/test_dashboard.py", "test_only_an_admin_comes_in_and_the_token_stays_in_the_tab"),
    "GET /admin/notifications/{id}/timeline": (
        "browser/test_dashboard.py",
        "test_a_dead_letter_is_found_tried_again_and_its_story_read",
    ),
    "GET /admin/preferences": DEFAULTS,
    "PUT /admin/preferences": DEFAULTS,
    "GET /admin/types": OWN_RULES,
    "GET /admin/types/{type}": OWN_RULES,
    "PUT /admin/types/{type}": OWN_RULES,
    "DELETE /admin/types/{type}": OWN_RULES,
    "GET /admin/templates": TEMPLATES,
    "GET /admin/templates/{type}/{channel}": TEMPLATES,
    "PUT /admin/templates/{type}/{channel}": TEMPLATES,
    "DELETE /admin/templates/{type}/{channel}": TEMPLATES,
    "POST /admin/templates/preview": (OWN_WORDS, "test_a_preview_shows_what_a_reader_would_get"),
    "GET /admin/audit": (ADMIN, "test_the_audit_is_filtered_and_read_page_by_page"),
    "POST /admin/tenants": A_TENANT,
    "GET /admin/tenants": A_TENANT,
    "PATCH /admin/tenants/{id}": (ADMIN, "test_the_platform_says_how_long_a_tenants_log_is_kept"),
    "GET /livez": (CONTRACT, "test_a_hub_that_says_goodbye_is_alive_but_not_ready"),
    "GET /readyz": (CONTRACT, "test_a_hub_that_says_goodbye_is_alive_but_not_ready"),
    "GET /metrics": (
        "integration/test_metrics.py",
        "test_the_page_shows_what_is_documented_and_nothing_else",
    ),
    "GET /": (PAGES, "test_the_built_page_is_served_at_the_root"),
    "GET /static/{path}": (PAGES, "test_files_with_a_digest_in_their_name_may_be_kept_for_ever"),
    "GET /docs": ("browser/test_docs_page.py", "test_the_api_is_shown_and_tried_without_another_host"),
    "GET /openapi.json": TRIED,
    "GET /asyncapi.json": (ON_CHANNELS, "test_everything_on_socketio_is_described"),
    "GET /errors/{code}": ("unit/test_error_pages.py", "test_the_type_of_a_problem_leads_to_its_page"),
    "GET /dev/outbox": (CONTRACT, "test_the_outbox_shows_what_would_have_been_sent"),
    "POST /dev/notifications/test": (ADMIN, "test_the_test_notification_goes_to_the_caller"),
    "GET /dev/demo": DEMO,
    "POST /dev/demo/booking": DEMO,
}


def test_every_route_has_its_proof() -> None:
    assert {name_of(route) for route in ROUTES} == set(PROOFS)


@pytest.mark.parametrize("route", PROOFS)
def test_the_proof_is_there(route: str) -> None:
    file, name = PROOFS[route]
    text = (TESTS / file).read_text()
    assert re.search(rf"^async def {name}\(", text, re.MULTILINE), f"{route}: no {name} in {file}"
