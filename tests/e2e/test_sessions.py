"""An operator, or a new password in the registry, ends a business's sessions beside the running service, on either store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim.registry_lines import business
from tests.e2e.callers import bearer, call, sign_in, try_to_sign_in
from tests.e2e.processes import SEED, Yard, until, write_registry
from tests.redis_server import RedisServer

pytestmark = pytest.mark.e2e

OWNER = business(SEED, 0)


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, empty_yard: Yard, tmp_path: Path) -> str:
    """The name of a store that knows a small fleet."""
    name = empty_yard.store_name
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("shared_redis")
        name = server.url(tmp_path.name)
    registry = write_registry(empty_yard.folder / "registry.jsonl", 2)
    assert empty_yard.runs("import", str(registry), "--store", name).status == 0
    return name


def is_signed_in(http: str, token: str) -> bool:
    return call(http, "GET", "/api/v1/me", headers=bearer(token)).status == 200


def test_an_operator_ends_them_and_nothing_else(empty_yard: Yard, store: str) -> None:
    serving = empty_yard.serves(store=store)
    tokens = [sign_in(serving.http, OWNER) for _ in range(2)]
    assert all(is_signed_in(serving.http, token) for token in tokens)
    ended = empty_yard.runs("sessions", "end", "--username", OWNER.username, "--store", store)
    assert (ended.status, ended.out) == (0, f"ended 2 sessions of {OWNER.username}\n"), ended.said
    assert until(lambda: not any(is_signed_in(serving.http, token) for token in tokens))
    again = sign_in(serving.http, OWNER)
    audit = call(serving.http, "GET", "/api/v1/me/audit", headers=bearer(again))
    told = [(each["action"], each["actor"]["kind"], each["detail"]) for each in json.loads(audit.body)["items"]]
    assert told.count(("signed_out", "system", "由运维人员结束")) == 2
    assert serving.process.stops().status == 0
    ended = empty_yard.runs("sessions", "end", "--username", f" {OWNER.username} ", "--store", store)
    assert ended.out.startswith("ended 1 sessions"), ended.said
    assert not is_signed_in(empty_yard.serves(store=store).http, again)


def test_a_new_password_in_the_registry_ends_them(empty_yard: Yard, store: str) -> None:
    serving = empty_yard.serves(store=store)
    token = sign_in(serving.http, OWNER)
    file = empty_yard.folder / "registry.jsonl"
    assert empty_yard.runs("import", str(file), "--store", store).status == 0
    line = json.loads(file.read_text("utf-8").splitlines()[0])
    file.write_text(json.dumps(line | {"password": "another-password"}), "utf-8")
    assert is_signed_in(serving.http, token), "the same password again ends nothing"
    assert empty_yard.runs("import", str(file), "--store", store).status == 0
    assert until(lambda: not is_signed_in(serving.http, token))
    assert try_to_sign_in(serving.http, OWNER).status == 401
    assert is_signed_in(serving.http, sign_in(serving.http, replace(OWNER, password="another-password")))


@pytest.mark.parametrize(
    "options,said",
    [
        (("--username", "nobody"), "nobody"),
        ((), "--username"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(yard: Yard, options: tuple[str, ...], said: str) -> None:
    ended = yard.runs("sessions", "end", *options, "--store", yard.store_name)
    assert ended.status == 2
    assert said in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.said
