"""A setting that would open a hole is refused at the start, with a sentence that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from settings import Settings, SettingsError, check_sandbox, from_environment, knobs
from tests.e2e.processes import Yard

ROOT = Path(__file__).parents[2]
WRONG = {
    "half of WeChat": ({"WECHAT_APPID": "wx0123456789abcdef"}, "WECHAT_SECRET"),
    "the other half": ({"WECHAT_SECRET": "a-secret-of-mine"}, "WECHAT_APPID"),
    "no address": ({"SHOUWANG_PUBLIC_URL": "shouwang.example"}, "SHOUWANG_PUBLIC_URL"),
    "another scheme": ({"SHOUWANG_PUBLIC_URL": "javascript://x"}, "SHOUWANG_PUBLIC_URL"),
    "no host": ({"SHOUWANG_PUBLIC_URL": "https:///x"}, "SHOUWANG_PUBLIC_URL"),
    "a fragment": ({"SHOUWANG_PUBLIC_URL": "https://x.cn/#a"}, "SHOUWANG_PUBLIC_URL"),
    "a query": ({"SHOUWANG_PUBLIC_URL": "https://x.cn/?a"}, "SHOUWANG_PUBLIC_URL"),
    "somebody's name": ({"SHOUWANG_PUBLIC_URL": "https://me:pw@x.cn"}, "SHOUWANG_PUBLIC_URL"),
    "a blank": ({"SHOUWANG_PUBLIC_URL": "https://x.cn y"}, "SHOUWANG_PUBLIC_URL"),
    "a line break": ({"SHOUWANG_PUBLIC_URL": "https://x.cn\n"}, "SHOUWANG_PUBLIC_URL"),
    "no number": ({"SHOUWANG_HTTP_HEAD_S": "soon"}, "SHOUWANG_HTTP_HEAD_S"),
    "less than nothing": ({"SHOUWANG_HTTP_CONNECTIONS": "-1"}, "SHOUWANG_HTTP_CONNECTIONS"),
    "no number at all": ({"SHOUWANG_HTTP_IDLE_S": "nan"}, "SHOUWANG_HTTP_IDLE_S"),
    "a short feed key": ({"FEED_KEY": "fifteen-chars-x"}, "FEED_KEY"),
    "a short operators' key": ({"OPS_KEY": "x"}, "OPS_KEY"),
    "a key that no header carries": ({"OPS_KEY": "sixteen characters"}, "OPS_KEY"),
    "a key with its line's end": ({"FEED_KEY": "sixteen-characters\n"}, "FEED_KEY"),
    "a key of another script": ({"FEED_KEY": "自选密钥" * 4}, "FEED_KEY"),
    "tiles without a place": ({"SHOUWANG_TILES_URL": "https://x.cn/{z}/{x}.png"}, "SHOUWANG_TILES_URL"),
    "tiles of no map": ({"SHOUWANG_TILES_URL": "https://x.cn/{z}/{x}/{y}", "SHOUWANG_TILES_CRS": "bd09"}, "TILES_CRS"),
    "no network": ({"SHOUWANG_PROXY_NETWORKS": "10.0.0.0/8,nginx"}, "SHOUWANG_PROXY_NETWORKS"),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_refused_by_name(name: str) -> None:
    environment, said = WRONG[name]
    with pytest.raises(SettingsError, match=said) as refused:
        from_environment(environment)
    assert "a-secret-of-mine" not in str(refused.value)


@pytest.mark.parametrize("name", ["FEED_KEY", "OPS_KEY"])
def test_a_key_that_is_refused_is_not_repeated(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_environment({name: "fifteen-chars-x"})
    assert "fifteen" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["https://x.cn", "http://10.0.0.1:8080", "https://x.cn/shouwang/", "http://[::1]:80", ""]
)
def test_an_address_that_links_can_begin_with_is_taken(address: str) -> None:
    assert from_environment({"SHOUWANG_PUBLIC_URL": address}).public_url == address


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["half of WeChat", "no network", "a short feed key", "tiles without a place"])
def test_the_process_ends_with_that_sentence(empty_yard: Yard, name: str) -> None:
    environment, said = WRONG[name]
    ended = empty_yard.runs("serve", "--http", "127.0.0.1:0", "--store", empty_yard.store_name, **environment)
    assert ended.status == 2
    assert "Traceback" not in ended.said
    assert said in ended.err.splitlines()[-1]
    assert not ended.out
    assert not empty_yard.store.exists()


def test_a_key_of_sixteen_characters_is_taken() -> None:
    settings = from_environment({"FEED_KEY": "sixteen-chars-xy", "OPS_KEY": "!~" * 8})
    assert (settings.feed_key, settings.ops_key) == ("sixteen-chars-xy", "!~" * 8)


WECHAT = {"WECHAT_APPID": "wx0123456789abcdef", "WECHAT_SECRET": "a-secret-of-mine"}


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "192.168.1.7", "203.0.113.7", "[2001:db8::7]", "shouwang.example.cn"]
)
def test_the_sandbox_is_for_this_machine_unless_more_is_meant(host: str) -> None:
    at = {"SHOUWANG_HTTP": f"{host}:8080"}
    with pytest.raises(SettingsError, match="--sandbox"):
        check_sandbox(from_environment(at), is_meant=False)
    check_sandbox(from_environment(at), is_meant=True)
    check_sandbox(from_environment(at | WECHAT), is_meant=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"])
def test_the_sandbox_needs_no_word_on_loopback(host: str) -> None:
    check_sandbox(from_environment({"SHOUWANG_HTTP": f"{host}:8080"}), is_meant=False)


@pytest.mark.e2e
def test_a_sandbox_that_others_reach_must_be_meant(empty_yard: Yard) -> None:
    ended = empty_yard.runs("serve", "--http", "0.0.0.0:0", "--store", empty_yard.store_name)
    assert ended.status == 2
    assert "--sandbox" in ended.err.splitlines()[-1]
    assert not ended.out
    assert not empty_yard.store.exists()
    assert empty_yard.serves("--sandbox", http="0.0.0.0:0").process.stops().status == 0
    assert empty_yard.serves(http="0.0.0.0:0", SHOUWANG_SANDBOX="1").process.stops().status == 0


def test_every_setting_that_limits_stands_in_the_table() -> None:
    """docs/limits.md tells each with its default."""
    table = (ROOT / "docs" / "limits.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", table, re.MULTILINE))
    for knob in knobs(Settings()):
        if isinstance(knob.value, int | float):
            assert knob.variable in told, f"{knob.variable} is missing"
            assert float(told[knob.variable].replace(",", "")) == knob.value, knob.variable
    assert set(told) <= {knob.variable for knob in knobs(Settings())}


def test_the_environment_reaches_every_number() -> None:
    """A number one higher than the default comes back from the settings, and changes nothing else."""
    defaults = {knob.variable: knob.value for knob in knobs(Settings())}
    for variable, value in defaults.items():
        if not isinstance(value, str):
            chosen = {knob.variable: knob.value for knob in knobs(from_environment({variable: str(value + 1)}))}
            assert chosen == defaults | {variable: value + 1}
