"""Tests the access to a Redis: passwords, users with few rights, TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.redis.address import RedisAddress
from persistence.redis.store import RedisStore
from persistence.store import IndexEntry, Put, StoreUnavailable
from tests.certificates import Authority, Papers
from tests.redis_server import DURABLE, RedisServer, free_port

RIGHTS = "~shouwang ~shouwang:* +@read +@write +@scripting +@connection -@dangerous +wait +time +info +role +config|get"
"""The rights that docs/operations.md gives to the service's user, and no others."""


async def opened(url: str, *, answer_s: float = 2.0) -> RedisStore:
    return await RedisStore.open(RedisAddress.parse(url), answer_s=answer_s)


async def is_refused(url: str, said: str = ".") -> None:
    """Check for a refusal within a third of a second that does not reveal the password."""
    with pytest.raises(StoreUnavailable, match=said) as refusal:
        await opened(url, answer_s=0.3)
    assert "sesame" not in str(refusal.value)


async def serves(url: str) -> str:
    """Does with a store all that a service does; the store's name."""
    store = await opened(url)
    try:
        await store.serve_alone()
        await store.secret("s")
        number = await store.append(b"x")
        await store.commit([Put("note", "a", b"x", (IndexEntry("all", ""),))])
        assert len((await store.find("note", "all", "")).documents) == 1
        assert await store.count("note", "all", "") == 1
        assert await store.trim_log(through=number) == 1
        assert await store.watermarks() == {}
        return store.name
    finally:
        await store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


async def test_a_password_is_asked_for_and_never_told(server: RedisServer) -> None:
    server.says("CONFIG", "SET", "requirepass", "sesame street")
    for wrong in ("", ":sesame@", "somebody:sesame@"):
        await is_refused(f"redis://{wrong}127.0.0.1:{server.port}/2", "refuses this user")
    name = await serves(f"redis://:sesame%20street@127.0.0.1:{server.port}/2")
    assert name == f"redis://127.0.0.1:{server.port}/2"


async def test_a_user_with_no_more_rights_than_the_documents_name_can_do_all(server: RedisServer) -> None:
    server.says("ACL", "SETUSER", "fleet", "on", ">p@ss/word", *RIGHTS.split())
    server.says("ACL", "SETUSER", "default", "off")
    url = f"redis://fleet:p%40ss%2Fword@127.0.0.1:{server.port}/0"
    await serves(url)
    await is_refused(f"{url}?prefix=theirs", "refuses this user")


async def test_a_user_whose_rights_are_taken_away_is_told_and_goes_on_when_they_are_back(server: RedisServer) -> None:
    server.says("ACL", "SETUSER", "fleet", "on", ">sesame", *RIGHTS.split())
    store = await opened(f"redis://fleet:sesame@127.0.0.1:{server.port}/0")
    server.says("ACL", "SETUSER", "fleet", "-@write")
    with pytest.raises(StoreUnavailable, match="refuses this user"):
        await store.append(b"x")
    server.says("ACL", "SETUSER", "fleet", "+@write")
    await store.append(b"y")
    assert [entry for _, entry in await store.read_log(after=0, limit=9)] == [b"y"]
    await store.close()


# -- TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "papers")


def encrypted(folder: Path, authority: Authority, papers: Papers, *options: str) -> tuple[RedisServer, int]:
    """A Redis that speaks TLS, and on which port."""
    port = free_port()
    files = ("--tls-cert-file", str(papers.certificate), "--tls-key-file", str(papers.key))
    where = ("--tls-port", str(port), "--tls-ca-cert-file", str(authority.file))
    return RedisServer(folder, *DURABLE, *where, *files, *options), port


async def test_tls_is_spoken_with_whom_a_trusted_certificate_names_only(authority: Authority, tmp_path: Path) -> None:
    papers, stranger = authority.papers("localhost"), Authority(tmp_path / "strange papers", "stranger")
    server, port = encrypted(tmp_path / "redis", authority, papers, "--tls-auth-clients", "no")
    try:
        assert await serves(f"rediss://localhost:{port}?ca={authority.file}") == f"rediss://localhost:{port}/0"
        for host, trusted in (
            (f"localhost:{port}", ""),
            (f"localhost:{port}", f"?ca={stranger.file}"),
            (f"127.0.0.1:{port}", f"?ca={authority.file}"),
        ):
            await is_refused(f"rediss://{host}{trusted}", r"(?i)certificate")
        await is_refused(f"redis://localhost:{port}")
    finally:
        server.kill()


async def test_a_redis_that_wants_our_certificate_gets_it_and_a_password_goes_through_tls(
    authority: Authority, tmp_path: Path
) -> None:
    papers, ours = authority.papers("localhost"), authority.papers("fleet.example")
    server, port = encrypted(tmp_path / "redis", authority, papers, "--requirepass", "sesame")
    try:
        trusted = f"ca={authority.file}"
        signed = f"{trusted}&cert={ours.certificate}&key={ours.key}"
        await serves(f"rediss://:sesame@localhost:{port}?{signed}")
        for wrong in (f"rediss://:sesame@localhost:{port}?{trusted}", f"rediss://localhost:{port}?{signed}"):
            await is_refused(wrong)
    finally:
        server.kill()


@pytest.mark.parametrize("parameter", ["ca", "cert"])
async def test_a_file_that_is_not_there_is_told(tmp_path: Path, parameter: str) -> None:
    await is_refused(f"rediss://127.0.0.1:1?{parameter}={tmp_path}/missing.pem")
