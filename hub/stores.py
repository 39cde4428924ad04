"""What is kept in the database, by what it is about: one of each, for all parts of a process.

The log itself is not here: who is told of a commit is chosen where a hub is put together.
"""

from __future__ import annotations

from hub.store.audit import Audit
from hub.store.backlog import Backlog
from hub.store.callbacks import Callbacks
from hub.store.dead import DeadLetters
from hub.store.delivered import DeliveredMarks
from hub.store.deliveries import Deliveries
from hub.store.engine import Database
from hub.store.expansions import Expansions
from hub.store.inbox import Inbox
from hub.store.keys import ApiKeys
from hub.store.outbox import Outbox
from hub.store.people import People
from hub.store.preferences import Preferences
from hub.store.push import PushSubscriptions
from hub.store.queue import Queue
from hub.store.reports import Reports
from hub.store.retention import Retention
from hub.store.revocations import RevocationRows
from hub.store.scheduled import Scheduled
from hub.store.spending import Spending
from hub.store.stats import Statistics
from hub.store.suppressions import Suppressions
from hub.store.templates import TemplateRows
from hub.store.tenants import Tenants
from hub.store.trail import Trail
from hub.store.type_rules import TypeRuleRows


class Stores:
    def __init__(self, db: Database) -> None:
        # Who there is, and what they may and want.
        self.tenants = Tenants(db)
        self.keys = ApiKeys(db)
        self.revocations = RevocationRows(db)
        self.people = People(db)
        self.preferences = Preferences(db)
        self.suppressions = Suppressions(db)
        self.push = PushSubscriptions(db)
        # What people have of the log.
        self.inbox = Inbox(db)
        self.delivered = DeliveredMarks(db)
        self.trail = Trail(db)
        # What waits, and what is sent.
        self.scheduled = Scheduled(db)
        self.expansions = Expansions(db)
        self.deliveries = Deliveries(db)
        self.backlog = Backlog(db)
        self.queue = Queue(db)
        self.spending = Spending(db)
        self.dead = DeadLetters(db)
        self.callbacks = Callbacks(db)
        self.outbox = Outbox(db)
        # What a tenant says of its messages.
        self.templates = TemplateRows(db)
        self.type_rules = TypeRuleRows(db)
        # What admins look at, and what is swept out.
        self.audit = Audit(db)
        self.reports = Reports(db)
        self.statistics = Statistics(db)
        self.retention = Retention(db)
