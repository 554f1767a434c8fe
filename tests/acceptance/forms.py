"""The form of each answer: the fields that the contract names, with their types; an answer may hold more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

Form = Callable[[str, Any], Iterator[str]]
"""Takes where a value stands and the value; tells what is wrong with it."""


def complaints(value: Any, form: Form) -> list[str]:
    return list(form("", value))


def _kind(name: str, holds: Callable[[Any], bool]) -> Form:
    def check(at: str, value: Any) -> Iterator[str]:
        if not holds(value):
            yield f"{at or 'answer'}: {value!r} is no {name}"

    return check


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_time(value: Any) -> bool:
    """RFC 3339 with an offset."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    return datetime.fromisoformat(value).utcoffset() is not None


def is_day(value: Any) -> bool:
    return isinstance(value, str) and date.fromisoformat(value).isoformat() == value


def is_point(value: Any) -> bool:
    """Longitude and latitude, in this order, and in China as all our trucks are."""
    return isinstance(value, list) and len(value) == 2 and 70 < value[0] < 140 and 0 < value[1] < 60


_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")

TEXT: Final = _kind("text", lambda value: isinstance(value, str) and value != "")
ID: Final = _kind("opaque id", lambda value: isinstance(value, str) and value != "")
TIME: Final = _kind("RFC 3339 time with an offset", is_time)
DAY: Final = _kind("day", is_day)
INT: Final = _kind("integer", is_int)
COUNT: Final = _kind("count", lambda value: is_int(value) and value >= 0)
NUMBER: Final = _kind("number", is_number)
BOOL: Final = _kind("boolean", lambda value: isinstance(value, bool))
POINT: Final = _kind("[lon, lat]", is_point)
MASKED: Final = _kind("masked text", lambda value: isinstance(value, str) and "*" in value)
ANY_TEXT: Final = _kind("text, perhaps empty", lambda value: isinstance(value, str))


def one_of(*words: str) -> Form:
    return _kind(f"one of {', '.join(words)}", lambda value: value in words)


def maybe(form: Form) -> Form:
    def check(at: str, value: Any) -> Iterator[str]:
        if value is not None:
            yield from form(at, value)

    return check


def many(form: Form, *, at_least: int = 0) -> Form:
    def check(at: str, value: Any) -> Iterator[str]:
        if not isinstance(value, list) or len(value) < at_least:
            yield f"{at or 'answer'}: {value!r} is no list of at least {at_least}"
            return
        for place, each in enumerate(value):
            yield from form(f"{at}[{place}]", each)

    return check


def fields(form: Mapping[str, Form], *more: Mapping[str, Form]) -> Form:
    """An object with all of these."""
    wanted = {name: each for part in (form, *more) for name, each in part.items()}

    def check(at: str, value: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at or 'answer'}: {value!r} is no object"
            return
        for name, each in wanted.items():
            if name not in value:
                yield f"{at}.{name} is missing"
            else:
                yield from each(f"{at}.{name}", value[name])

    return check


def page(item: Form, *, at_least: int = 1) -> Form:
    return fields({"items": many(item, at_least=at_least), "next": maybe(TEXT)})


PLATE_COLOR: Final = one_of(
    "blue",
    "yellow",
    "black",
    "white",
    "green",
    "farm_yellow",
    "farm_green",
    "yellow_green",
    "gradient_green",
    "other",
)
PLATE: Final = _kind("plate", lambda value: isinstance(value, str) and len(value) in (7, 8))
VEHICLE: Final = fields({"plate": PLATE, "plate_color": PLATE_COLOR})
CERTIFICATE_STATE: Final = one_of("valid", "expiring", "expired")

ACCOUNT: Final = {
    "id": ID,
    "kind": one_of("natural", "legal"),
    "roles": many(one_of("driver", "family", "owner"), at_least=1),
    "registered": BOOL,
    "display_name": TEXT,
}
SESSION: Final = fields({"token": TEXT, "expires_at": TIME, "account": fields(ACCOUNT)})
CERTIFICATE: Final = fields(
    {
        "kind": one_of("qualification", "operating_licence", "transport"),
        "number_masked": MASKED,
        "valid_until": DAY,
        "state": CERTIFICATE_STATE,
        "days_left": INT,
    }
)
LAST_FIX_FIELDS: Final = {
    "time": TIME,
    "received_at": TIME,
    "age_s": COUNT,
    "wgs84": POINT,
    "gcj02": POINT,
    "speed_kmh": NUMBER,
    "course_deg": INT,
    "altitude_m": INT,
    "place": maybe(TEXT),
}
LAST_FIX: Final = fields(LAST_FIX_FIELDS)
REMINDER: Final = fields(
    {
        "kind": one_of("qualification", "transport", "annual_review", "operating_licence"),
        "state": one_of("expiring", "expired"),
        "valid_until": DAY,
        "days_left": INT,
    }
)
ALERT: Final = fields(
    {
        "id": ID,
        "kind": TEXT,
        "source": one_of("terminal", "platform"),
        "title": TEXT,
        "started_at": TIME,
        "ended_at": maybe(TIME),
        "ongoing": BOOL,
        "wgs84": maybe(POINT),
        "gcj02": maybe(POINT),
        "speed_kmh": NUMBER,
        "peak_kmh": NUMBER,
        "limit_kmh": maybe(NUMBER),
    }
)
BINDING_FIELDS: Final = {
    "id": ID,
    "vehicle": VEHICLE,
    "kind": one_of("self", "delegated"),
    "bound_at": TIME,
    "unbound_at": maybe(TIME),
    "unbound_by": maybe(one_of("driver", "owner")),
    "delegate_name": maybe(TEXT),
    "shares_live": COUNT,
    "last_fix": maybe(LAST_FIX),
    "online": maybe(BOOL),
}
BINDING: Final = fields(BINDING_FIELDS)
SHARE_FIELDS: Final = {
    "id": ID,
    "duration": one_of("3d", "7d", "1mo", "1y"),
    "created_at": TIME,
    "expires_at": TIME,
    "status": one_of("unopened", "open", "cancelled", "expired", "ended"),
    "viewer": maybe(fields({"display_name": TEXT, "opened_at": TIME, "last_watched_at": maybe(TIME)})),
}
SHARE: Final = fields(SHARE_FIELDS)
LINK: Final = {"link": TEXT, "token": TEXT}
DELEGATION_STATUS: Final = one_of("unopened", "open", "bound", "withdrawn", "expired")
DELEGATION_FIELDS: Final = {
    "id": ID,
    "plate": PLATE,
    "plate_color": PLATE_COLOR,
    "expires_at": TIME,
    "status": DELEGATION_STATUS,
}
DELEGATION: Final = fields(DELEGATION_FIELDS)
SHARE_VIEW: Final = fields(
    {
        "id": ID,
        "vehicle": VEHICLE,
        "expires_at": TIME,
        "online": BOOL,
        "last_fix": maybe(LAST_FIX),
        "certificate_reminders": many(REMINDER),
        "alerts": many(ALERT),
        "driving_today": fields(
            {"distance_km": NUMBER, "driving_s": COUNT, "longest_stint_s": COUNT, "alert_count": COUNT}
        ),
        "refresh_after": INT,
    }
)
FAMILY_SHARE: Final = fields(
    {
        "id": ID,
        "vehicle": VEHICLE,
        "driver_name_masked": MASKED,
        "status": one_of("unopened", "open", "cancelled", "expired", "ended"),
        "expires_at": TIME,
        "online": maybe(BOOL),
        "last_fix": maybe(LAST_FIX),
    }
)
FAMILY_DELEGATION: Final = fields(
    {
        "id": ID,
        "plate": PLATE,
        "plate_color": PLATE_COLOR,
        "driver_name_masked": MASKED,
        "status": DELEGATION_STATUS,
        "binding_id": maybe(ID),
    }
)
OWNER_VEHICLE: Final = fields(
    {
        "id": ID,
        "plate": PLATE,
        "plate_color": PLATE_COLOR,
        "online": BOOL,
        "last_fix": maybe(LAST_FIX),
        "bindings_count": COUNT,
        "certificate_reminders": many(REMINDER),
    }
)
AUDIT: Final = fields(
    {
        "id": ID,
        "at": TIME,
        "actor": fields({"kind": TEXT, "display_name": TEXT}),
        "action": TEXT,
        "subject": fields({"kind": TEXT, "id": ID}),
        "address_masked": ANY_TEXT,
        "detail": ANY_TEXT,
    }
)
SIGNED_IN: Final = fields(
    {
        "id": ID,
        "kind": one_of("natural", "one_click", "legal"),
        "made_at": TIME,
        "last_used_at": TIME,
        "address_masked": MASKED,
        "current": BOOL,
    }
)
FEED: Final = fields({"accepted": COUNT, "stale": COUNT, "rejected": many(fields({"index": COUNT, "code": TEXT}))})
