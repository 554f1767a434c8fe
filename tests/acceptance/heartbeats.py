"""Lets tests receive a live stream's heartbeat, which comes in real seconds, without waiting for it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

import run
from api.live.event_stream import StreamLimits
from tests.api.watching import Reader
from tests.patience import PATIENCE_S

BEAT_S = 0.02


def beats_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the heartbeat, from the next start on."""
    monkeypatch.setattr(run, "StreamLimits", partial(StreamLimits, heartbeat_s=BEAT_S))


async def hears_a_heartbeat(stream: Reader) -> None:
    """Passes over whatever else comes."""
    async with asyncio.timeout(PATIENCE_S):
        while await stream.response.content.readline() != b":\n":
            pass
