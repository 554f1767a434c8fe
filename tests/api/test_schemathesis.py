"""Tests that input which the document allows, or just misses, never brings the service down or breaks the document."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgpack
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.api.callers import CALLERS, OPS_KEY, furnished, known_id
from tests.api.conftest import FEED_KEY, Service

T = TypeVar("T")
Case = schemathesis.Case[Any]

EXAMPLES: Final = 8
"""Examples per call, besides the boundaries of all its fields."""
HOUSE: Final = settings.get_profile("house")
WINDOW_S: Final = 16 * 60.0
"""Time after which wrong attempts are forgotten."""
LEFT_OUT: Final = {
    "/live$": "streams until somebody ends it; has tests of its own",
    "^/dev/clock$": "may move the clock past everything that the other calls look at; has tests of its own",
}
ROW_BY_ROW: Final = "/api/v1/telemetry"
"""Takes a batch with bad rows, and says which."""


@schemathesis.serializer("application/msgpack")
def as_msgpack(_: object, value: object) -> bytes:
    packed: bytes = msgpack.packb(packable(value), unicode_errors="surrogatepass")
    return packed


def packable(value: Any) -> Any:
    """MessagePack knows no integers beyond 64 bits."""
    match value:
        case list():
            return [packable(each) for each in value]
        case dict():
            return {name: packable(each) for name, each in value.items()}
        case int() if not -(1 << 63) <= value < 1 << 64:
            return str(value)
        case _:
            return value


@dataclass
class Running:
    """The service on a loop of its own, so that Schemathesis may block."""

    service: Service
    ids: Mapping[str, str]
    loop: asyncio.AbstractEventLoop
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)
    connection: requests.Session = field(default_factory=requests.Session)
    """Kept: a new one for each call takes longer than the call."""

    def __post_init__(self) -> None:
        self.connection.trust_env = False

    def do(self, doing: Awaitable[T]) -> T:
        return asyncio.run_coroutine_threadsafe(_of(doing), self.loop).result(30.0)

    @property
    def url(self) -> str:
        return str(self.service.client.make_url("")).rstrip("/")

    def forget_attempts(self) -> None:
        self.do(self.service.clock.advance(WINDOW_S))

    def check(self, case: Case, caller: str) -> None:
        """Sends it as it is, and then to something that there is."""
        headers = self.headers(case, caller)
        # That valid input is accepted can't be asked: no schema says which passwords are right, or which cursors are ours.
        not_asked: list[CheckFunction] = [positive_data_acceptance]
        if case.operation.path == ROW_BY_ROW:
            not_asked.append(negative_data_rejection)
        self._call(case, headers, not_asked)
        known = known_id(self.ids, case.operation.path)
        if known is not None:
            case.path_parameters["id"] = known
            not_asked.append(negative_data_rejection)  # The odd id may have been all that was wrong.
            self._call(case, headers, not_asked)

    def _call(self, case: Case, headers: dict[str, str], not_asked: list[CheckFunction]) -> None:
        case.call_and_validate(self.url, self.connection, headers, excluded_checks=not_asked)

    def headers(self, case: Case, caller: str) -> dict[str, str]:
        """Return the call's credentials; a call that ends sessions gets a session of its own."""
        if case.operation.path.startswith("/api/v1/sessions"):
            return self.do(CALLERS[caller](self.service))
        if caller not in self.sessions:
            self.sessions[caller] = self.do(CALLERS[caller](self.service))
        return self.sessions[caller] | {"X-Feed-Key": FEED_KEY, "X-Ops-Key": OPS_KEY}


async def _of(doing: Awaitable[T]) -> T:
    return await doing


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    service = Service(tmp_path_factory.mktemp("schemathesis"))
    try:
        ids = asyncio.run_coroutine_threadsafe(furnished(service), loop).result(30.0)
        running = Running(service, ids, loop)
        with running.connection:
            yield running
        running.do(service.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.slow
def test_no_call_fails_and_every_answer_is_as_described(running: Running) -> None:
    document = running.do(running.service.get("/api/v1/openapi.json", {}))
    schema: BaseSchema = schemathesis.openapi.from_dict(document)
    schema.config.generation.allow_extra_parameters = False  # A parameter that no call knows is passed over.
    schema.config.generation.with_security_parameters = False  # What a call must show is shown here.
    for path in LEFT_OUT:
        schema = schema.exclude(path_regex=path)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) >= 39
    # What ends things comes last, so that the others have something to look at.
    operations.sort(key=lambda each: each.method == "delete")
    found = "\n".join(finding(running, each) for each in operations).strip()
    assert not found, found


def finding(running: Running, operation: Any) -> str:
    """Return the fault of this call; empty for a good one."""
    running.forget_attempts()
    caller = next((each for each in CALLERS if f"/{each}" in operation.path), "driver")

    @settings(HOUSE, max_examples=EXAMPLES, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def anything(case: Case) -> None:
        running.check(case, caller)

    try:
        for case in boundaries(operation):
            running.check(case, caller)
        anything()
    except FailureGroup as failures:
        return f"{operation.label}: {failures.message}"
    return ""


def boundaries(operation: Any) -> Iterator[Case]:
    """The least and the most of every field, and just beyond."""
    cases: Iterator[Case] = operation.schema.iter_coverage_cases(
        operation, generation_modes=list(GenerationMode), generation_config=operation.schema.config.generation
    )
    return cases
