"""The proxies of deploy/ pass callers' addresses and live streams on, and keep operators' pages inside."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final

import pytest

from sim.household import make_household
from tests.e2e.processes import RUN, SEED, Yard, until
from tests.programs import needs

pytestmark = pytest.mark.e2e

DEPLOY: Final = RUN.parent / "deploy"
NAME: Final = "watch.example.cn"
CALLER: Final = "127.1.2.3"
"""An address of this machine that is not the proxy's own."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    home = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(command, cwd=folder, env=home, stdout=log, stderr=log)
    try:
        assert until(lambda: is_listening(port) or proxy.poll() is not None)
        assert proxy.poll() is None, (folder / "proxy.log").read_text()
        yield
    finally:
        proxy.terminate()
        proxy.wait()


@contextmanager
def nginx(service: str, folder: Path) -> Iterator[int]:
    """Run nginx as in deploy/, except for ports and certificate, in one process that writes into its folder only."""
    plain, port, key, certificate = free_port(), free_port(), folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = (DEPLOY / "nginx/shouwang.conf").read_text("utf-8").replace("127.0.0.1:8080", service)
    server = server.replace("listen 80;", f"listen 127.0.0.1:{plain};").replace(
        "listen 443", f"listen 127.0.0.1:{port}"
    )
    server = server.replace(f"/etc/ssl/{NAME}/fullchain.pem", str(certificate))
    server = server.replace(f"/etc/ssl/{NAME}/privkey.pem", str(key))
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places}\n{server} }}\n"
    )
    with running(["nginx", "-c", str(file), "-p", str(folder)], port, folder):
        yield port


@contextmanager
def caddy(service: str, folder: Path) -> Iterator[int]:
    """Run Caddy as in deploy/, without TLS."""
    port = free_port()
    site = (DEPLOY / "caddy/Caddyfile").read_text("utf-8")
    site = site.replace(f"\n{NAME} {{", f"\nhttp://127.0.0.1:{port} {{").replace("127.0.0.1:8080", service)
    file = folder / "Caddyfile"
    file.write_text(f"{{\n    admin off\n}}\n{site}")
    with running(["caddy", "run", "--config", str(file), "--adapter", "caddyfile"], port, folder):
        yield port


PROXIES: Final = {"nginx": nginx, "caddy": caddy}


@contextmanager
def asking(name: str, port: int, path: str, **headers: str) -> Iterator[HTTPResponse]:
    """Ask from another address of this machine, with a made-up address in the header."""
    where: dict[str, Any] = {"timeout": 20.0, "source_address": (CALLER, 0)}
    if name == "nginx":
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        way: HTTPConnection = HTTPSConnection("127.0.0.1", port, context=tls, **where)
    else:
        way = HTTPConnection("127.0.0.1", port, **where)
    with closing(way) as connection:
        connection.request("GET", path, headers={"X-Forwarded-For": "203.0.113.7", **headers})
        with closing(connection.getresponse()) as response:
            yield response


@pytest.mark.parametrize("name", PROXIES)
def test_a_callers_address_and_a_live_stream_come_through(yard: Yard, name: str) -> None:
    needs(name)
    serving = yard.serves(SHOUWANG_PROXIES="1")
    people = asyncio.run(make_household(f"http://{serving.http}", seed=SEED))
    with PROXIES[name](serving.http, yard.folder) as port:
        with asking(name, port, "/api/v1/web-config") as answer:
            assert answer.status == 200
            answer.read()
        path = f"/api/v1/family/shares/{people.share_id}/live"
        with asking(name, port, path, Authorization=f"Bearer {people.family_token}") as stream:
            while not stream.readline().startswith(b"event: presence"):  # Far less than a buffer, and no more follows.
                assert not stream.isclosed()
        assert until(lambda: "GET /api/v1/web-config 200" in serving.process.err)
    (line,) = [line for line in serving.process.err.splitlines() if "GET /api/v1/web-config" in line]
    assert " 127.1.2.* " in line
    assert "203.0.113" not in serving.process.err


def test_nginx_keeps_operators_pages_inside(yard: Yard) -> None:
    needs("nginx")
    with nginx(yard.serves(SHOUWANG_PROXIES="1").http, yard.folder) as port:
        for path in ("/metrics", "/health", "/ops"):
            with asking("nginx", port, path) as answer:
                assert answer.status == 403
