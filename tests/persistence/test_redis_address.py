"""Tests that a Redis's URL is read as it is meant, and that its password is never shown."""

from __future__ import annotations

import pytest

from persistence.redis.address import Place, RedisAddress


def test_a_short_address_has_the_usual_port_database_and_prefix() -> None:
    address = RedisAddress.parse("redis://cache.example")
    assert (address.places, address.database, address.prefix) == ((Place("cache.example", 6379),), 0, "shouwang")
    assert (address.master, address.replicas) == ("", 0)
    assert address.name == "redis://cache.example:6379/0"


def test_a_full_address_says_everything() -> None:
    address = RedisAddress.parse(
        "rediss://fleet:p%40ss%2Fword@[::1]:7000/3?prefix=pingan&ca=ca.pem&cert=c.pem&key=k.pem"
    )
    assert (address.places, address.database, address.prefix) == ((Place("::1", 7000),), 3, "pingan")
    assert (address.username, address.password, address.tls) == ("fleet", "p@ss/word", True)
    assert (address.ca_file, address.cert_file, address.key_file) == ("ca.pem", "c.pem", "k.pem")
    assert address.name == "rediss://[::1]:7000/3?prefix=pingan"


def test_sentinels_stand_side_by_side_and_what_is_acknowledged_is_on_a_replica_unless_told_otherwise() -> None:
    address = RedisAddress.parse("redis+sentinel://fleet:sesame@a.example,[::1]:7000/trucks/3?prefix=pingan")
    assert address.places == (Place("a.example", 26379), Place("::1", 7000))
    assert (address.master, address.database, address.prefix, address.tls) == ("trucks", 3, "pingan", False)
    assert (address.username, address.password, address.replicas) == ("fleet", "sesame", 1)
    assert address.name == "redis+sentinel://a.example:26379,[::1]:7000/trucks/3?prefix=pingan"
    encrypted = RedisAddress.parse("rediss+sentinel://a.example/trucks?replicas=2")
    assert (encrypted.tls, encrypted.database, encrypted.replicas) == (True, 0, 2)
    assert encrypted.name == "rediss+sentinel://a.example:26379/trucks/0"


def test_losing_what_was_acknowledged_is_allowed_only_in_words() -> None:
    assert not RedisAddress.parse("redis://h").allows_no_aof
    assert RedisAddress.parse("redis://h?allow=no-aof").allows_no_aof
    with pytest.raises(ValueError, match="no-aof"):
        RedisAddress.parse("redis://h?allow=everything")


def test_neither_name_nor_representation_has_the_password() -> None:
    address = RedisAddress.parse("redis://fleet:sesame@h/1?prefix=p")
    assert "sesame" not in address.name + repr(address) + str(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "redis",
        "redis://",
        "redis://:sesame@",
        "redis://:sesame@h:port",
        "redis://:sesame@h:70000",
        "redis://:sesame@h/database",
        "redis://:sesame@h/-1",
        "redis://:sesame#x@h",
        "redis://:sesame@[::1",
        "http://:sesame@h",
        "redis://:sesame@h?prefix=",
        "redis://:sesame@h?prefix=a:b",
        "redis://:sesame@h?prefix=" + "x" * 65,
        "redis://:sesame@h?prefix",
        "redis://:sesame@h?socket_timeout=1",
        "redis://:sesame@h?replicas=some",
        "redis://:sesame@h,i/0",
        "redis://:sesame@h/trucks/0",
        "redis+sentinel://:sesame@h",
        "redis+sentinel://:sesame@h/",
        "redis+sentinel://:sesame@h,/trucks",
        "redis+sentinel://:sesame@h:port,i/trucks",
        "redis+sentinel://:sesame@h/trucks/database",
        "redis+sentinel://:sesame@h/trucks/-1",
        "redis+sentinel://:sesame@h/trucks/0/1",
    ],
)
def test_what_is_no_address_is_refused_without_telling_the_password(text: str) -> None:
    with pytest.raises(ValueError) as refusal:
        RedisAddress.parse(text)
    assert "sesame" not in str(refusal.value)
