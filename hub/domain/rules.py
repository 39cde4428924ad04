"""What a tenant says of event types in place of the registry, and types as each tenant has them.

Rules are said as JSON: what is left out is as the registry says, null is none. They hold from the next
decision on, also for what is planned already. Pure: who stores them tells them here. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hub.domain.events import Digest, EventType, Registry, Throttle

Said = Mapping[str, Any]


def ruled(kind: EventType, said: Said) -> EventType:
    """The type with what is said of it."""
    changes: dict[str, Any] = {name: said[name] for name in ("severity", "mutable") if name in said}
    if "channels" in said:
        changes["channels"] = tuple(said["channels"])
    if "ttlDays" in said:
        changes["ttl_days"] = said["ttlDays"]
    if "digest" in said:
        rule = said["digest"]
        changes["digest"] = rule and Digest(rule["window"], rule.get("key", ""))
    if "throttle" in said:
        rule = said["throttle"]
        changes["throttle"] = rule and Throttle(rule["most"], rule["seconds"])
    if "escalate" in said:
        changes["escalate"] = dict(said["escalate"])
    return replace(kind, **changes)


def rules_of(kind: EventType) -> dict[str, Any]:
    """All the rules of a type, as they would be said."""
    return {
        "channels": list(kind.channels),
        "severity": kind.severity,
        "mutable": kind.mutable,
        "ttlDays": kind.ttl_days,
        "digest": kind.digest and kind.digest._asdict(),
        "throttle": kind.throttle and kind.throttle._asdict(),
        "escalate": dict(kind.escalate),
    }


def sources_of(kind: EventType, said: Said) -> dict[str, str]:
    """Who says each rule of a type: the tenant, the operator's file, or the hub."""
    filed = {"ttlDays" if name == "ttl_days" else name for name in kind.filed}
    return {name: "tenant" if name in said else "file" if name in filed else "hub" for name in rules_of(kind)}


class Types:
    """The registry, and what tenants say instead. `say` is heard by whoever asks from then on."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._own: dict[str, dict[str, EventType]] = {}

    def find(self, tenant: str, name: str) -> EventType | None:
        """By its name or an alias; None: neither the registry nor the tenant knows it."""
        found = self.registry.find(name)
        own = self._own.get(tenant)
        return found if own is None else own.get(name if found is None else found.name, found)

    def kind(self, tenant: str, name: str) -> EventType:
        """The same, or a type that nobody has said anything of."""
        return self.find(tenant, name) or self.registry.custom(name)

    def as_shipped(self, name: str) -> EventType:
        """The type without what tenants say."""
        return self.registry.find(name) or self.registry.custom(name)

    def fixed(self, tenant: str) -> Fixed:
        return Fixed(self, tenant)

    def say(self, tenant: str, name: str, said: Said | None) -> None:
        """None: the tenant has taken back what it said."""
        own = self._own.setdefault(tenant, {})
        if said is None:
            own.pop(name, None)
        else:
            own[name] = ruled(self.as_shipped(name), said)
        if not own:
            del self._own[tenant]


@dataclass(frozen=True, slots=True)
class Fixed:
    """The types that nobody of a tenant may mute: `in` says it as it is at that moment."""

    types: Types
    tenant: str

    def __contains__(self, name: object) -> bool:
        kind = self.types.find(self.tenant, str(name))
        return kind is not None and not kind.mutable
