"""A client's last event id says exactly which alerts it has, in any order of events."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2s

from hypothesis import given
from hypothesis import strategies as st

from api.live.resume import MAX_ENDED, Delivered
from domain.vehicle.alerts import Alert
from domain.vehicle.profile import DEFAULT_PROFILE
from domain.vehicle.vehicle import RECENT_ALERTS

BEGAN = 1_760_000_000


def alert(number: int, *, started_at: int, ended_at: int | None = None) -> Alert:
    name = blake2s(str(number).encode(), digest_size=10).hexdigest()
    return Alert(name, "emergency", "terminal", BEGAN + started_at, ended_at, None, None, 0, 0, None)


def again(delivered: Delivered) -> Delivered:
    """Return the state as the client brings it back."""
    parsed = Delivered.parse(str(delivered))
    assert parsed is not None
    return parsed


def ended(each: Alert, after_s: int = 10) -> Alert:
    return replace(each, ended_at=each.started_at + after_s)


def test_nothing_known_is_everything_missed() -> None:
    first, second = alert(1, started_at=5), ended(alert(2, started_at=0))
    assert again(Delivered.of(())).missed([first, second]) == [second, first]


def test_what_the_vehicle_tells_of_is_known() -> None:
    alerts = [alert(1, started_at=5), ended(alert(2, started_at=0)), ended(alert(3, started_at=-5000))]
    assert again(Delivered.of(alerts)).missed(alerts) == []


def test_an_end_is_missed_however_long_ago_the_alert_began() -> None:
    old, new = alert(1, started_at=-900_000), alert(2, started_at=0)
    assert again(Delivered.of([old, new])).missed([ended(old, 900_100), new]) == [ended(old, 900_100)]


def test_r52_an_inferred_alert_that_goes_on_after_all_is_missed_by_who_was_told_its_end() -> None:
    inferred = alert(1, started_at=0)
    delivered = Delivered.of([ended(inferred)])
    assert again(delivered).missed([inferred]) == [inferred]
    delivered.note(inferred)
    assert again(delivered).missed([inferred]) == []
    assert again(delivered).missed([ended(inferred, 90)]) == [ended(inferred, 90)]


def test_a_new_alert_that_began_before_a_known_one_is_missed() -> None:
    """Speeding begins with the fix before the one that showed it."""
    known, new = alert(1, started_at=0), alert(2, started_at=1 - int(DEFAULT_PROFILE.offline_after_s))
    assert again(Delivered.of([known])).missed([new, known]) == [new]


def test_alerts_that_the_vehicle_does_not_tell_of_any_more_are_known() -> None:
    dropped = ended(alert(99, started_at=-40), 20)
    told = [ended(alert(number, started_at=number - 30)) for number in range(RECENT_ALERTS)]
    assert again(Delivered.of(told)).missed([dropped, *told]) == []


def test_an_id_stays_short_whatever_comes() -> None:
    delivered = Delivered.of(())
    for number in range(500):
        delivered.note(alert(number, started_at=number))
        delivered.note(ended(alert(number, started_at=number)))
    assert len(str(delivered)) <= 15 + 9 * MAX_ENDED


Span = tuple[int, int | None]
SPANS = st.lists(
    st.tuples(st.integers(0, 5000), st.none() | st.integers(0, 2000)), max_size=40, unique_by=lambda span: span[0]
)


def history(spans: list[Span]) -> tuple[list[Alert], list[Alert]]:
    """Alerts as they are in the end, and each as it began and as it ended, in the order of that."""
    final = [
        alert(number, started_at=start, ended_at=None if lasted is None else BEGAN + start + lasted)
        for number, (start, lasted) in enumerate(sorted(spans))
    ]
    changes = [(each.started_at, 0, replace(each, ended_at=None)) for each in final]
    changes += [(each.ended_at, 1, each) for each in final if each.ended_at is not None]
    return final, [each for _, _, each in sorted(changes, key=lambda change: change[:2])]


def told_by_the_vehicle(changes: list[Alert]) -> list[Alert]:
    """Return the ongoing alerts, and those that ended last."""
    now = {each.id: each for each in changes}
    ends = [each for each in changes if not each.ongoing]
    return [each for each in now.values() if each.ongoing] + ends[-RECENT_ALERTS:]


@given(SPANS, st.data())
def test_a_stream_cut_anywhere_resumes_exactly(spans: list[Span], data: st.DataObject) -> None:
    """The alerts after the cut are missed, and no others."""
    final, changes = history(spans)
    cut = data.draw(st.integers(0, len(changes)))
    delivered = Delivered.of(())
    for each in changes[:cut]:
        delivered.note(each)
    known = {each.id: each for each in changes[:cut]}
    expected = [each for each in final if known.get(each.id) != each]
    if sum(each.ongoing for each in known.values()) + len(known) <= MAX_ENDED:
        assert again(delivered).missed(final) == sorted(expected, key=lambda each: (each.started_at, each.id))


@given(SPANS, st.data())
def test_what_the_vehicle_tells_is_enough_exactly_when_it_says_so(spans: list[Span], data: st.DataObject) -> None:
    """A stream that begins fresh and is cut: with what the vehicle tells of now, or with all there is, the same is missed."""
    final, changes = history(spans)
    cut = data.draw(st.integers(0, len(changes)))
    delivered = Delivered.of(told_by_the_vehicle(changes[:cut]))
    told = told_by_the_vehicle(changes)
    if again(delivered).is_told_by(told):
        assert again(delivered).missed(told) == again(delivered).missed(final)


def test_a_vehicle_with_few_alerts_tells_enough() -> None:
    known, new = alert(1, started_at=0), alert(2, started_at=50)
    assert again(Delivered.of([known])).is_told_by([ended(known), new])
