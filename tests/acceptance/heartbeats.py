"""Lets tests receive a live stream's heartbeat, which comes in real seconds, without waiting for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

import run
from api.app import make_app
from api.ports import Services
from tests.api.watching import Reader
from tests.patience import PATIENCE_S

BEAT_S = 0.02


def beats_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the heartbeat, from the next start on."""

    def made(services: Services) -> web.Application:
        limits = replace(services.stream_limits, heartbeat_s=BEAT_S)
        return make_app(replace(services, stream_limits=limits))

    monkeypatch.setattr(run, "make_app", made)


async def hears_a_heartbeat(stream: Reader) -> None:
    """Passes over whatever else comes."""
    async with asyncio.timeout(PATIENCE_S):
        while await stream.response.content.readline() != b":\n":
            pass
