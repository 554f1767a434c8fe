"""The frames in the pipe between a parent and its shard: of bounded length, each a call or an answer."""

from __future__ import annotations

import asyncio
import os
from struct import Struct
from typing import Any, Final

import msgspec

CALLS: Final = 256
"""Concurrent calls; further ones wait at the caller's side."""
MAX_FRAME_BYTES: Final = 16 << 20
"""A log entry holds 20,000 fixes or what one call brings: about a megabyte."""
_LENGTH: Final = Struct(">I")


class _Frame(msgspec.Struct, tag=True, array_like=True, frozen=True):
    number: int


class Asked(_Frame, frozen=True):
    """Answered under the same number, as all that follow but ``Unwatch`` and ``Cancel``."""

    key: str
    message: bytes


class Route(_Frame, frozen=True):
    """A batch; the next one comes when this one is answered."""

    batch: bytes


class Watch(_Frame, frozen=True):
    """Starts a watch: from now on events are ``Told`` under this number."""

    kind: str
    key: str


class Unwatch(_Frame, frozen=True):
    """No more events under this number."""


class Cancel(_Frame, frozen=True):
    """Ends a call: the caller no longer waits for its answer."""


class Answer(_Frame, frozen=True):
    """The actor's answer."""

    answer: bytes


class Refused(_Frame, frozen=True):
    """The error that the call raised."""

    refusal: bytes


class Told(_Frame, frozen=True):
    """The announcement of a watched actor."""

    event: bytes


Called = Asked | Route | Watch | Unwatch | Cancel
Said = Answer | Refused | Told


class Broken(Exception):
    """The input is no whole frame, so the two ends no longer understand each other."""


class FrameTooLong(Exception):
    """The frame was too long, and was not sent."""


class Pipe:
    """An end of the pipe: sends frames of any kind, receives those of ``kinds``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kinds: Any) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(kinds)

    def send(self, frame: Called | Said) -> None:
        """Raises ``FrameTooLong``; that the other end has gone, ``receive`` tells."""
        encoded = self._encoder.encode(frame)
        if len(encoded) > MAX_FRAME_BYTES:
            raise FrameTooLong(f"{len(encoded)} bytes")
        self._writer.write(_LENGTH.pack(len(encoded)) + encoded)

    async def drain(self) -> None:
        """Returns when the other end has taken nearly all of it. Raises ``ConnectionError``."""
        await self._writer.drain()

    async def receive(self) -> Any:
        """The next frame; None when the other end has closed. Raises ``Broken``."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise Broken(f"a frame of {length} bytes")
            return self._decoder.decode(await self._reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            if not error.partial and error.expected == _LENGTH.size:
                return None
            raise Broken("the other end has gone within a frame") from error
        except msgspec.MsgspecError as error:
            raise Broken(str(error)) from error

    def close(self) -> None:
        """Close this end. Sent frames still arrive; then the other end's ``receive`` returns None."""
        self._writer.close()


async def pipe_over(read_from: int, write_to: int, kinds: Any) -> Pipe:
    """Takes both descriptors over."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_from, "rb", 0))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(write_to, "wb", 0)
    )
    return Pipe(reader, asyncio.StreamWriter(transport, protocol, None, loop), kinds)
