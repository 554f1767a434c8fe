"""Encodes the asks, answers, refusals and events that cross to actors in another process, as MessagePack.

Each is a plain value with its type's name before it; the type of an answer is that of its ask. Both ends are the same
program, so the format has no versions. ``persistence.records`` encodes the values that outlive a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter, signature
from types import FunctionType, GenericAlias
from typing import Any, Final, get_args, get_type_hints

import msgspec
from pykka import ActorDeadError

from actors.people import person, share_link
from actors.people.business import UnbindAsOwner
from actors.people.share_link import ShareOver
from actors.system.asks import A, Ask, answer_type
from actors.system.runtime import ActorFailed, MailboxFull
from actors.system.supervisor import Unanswered
from actors.vehicles.vehicle import Look
from actors.vehicles.watch import AlertChanged, Moved, PresenceChanged
from domain import errors
from domain.vehicle.fix import Batch
from domain.vehicle.quality import Outcome
from persistence.store import StoreConflict, StoreError, StoreFormatError, StoreUnavailable

ASKS: Final[Sequence[type[Ask[Any]]]] = (
    Look,
    *get_args(person.Message),
    *get_args(share_link.Message),
    UnbindAsOwner,
)
"""The asks that cross; each names the type of its answer."""

EVENTS: Final = (Moved, PresenceChanged, AlertChanged, ShareOver)

REFUSALS: Final[tuple[type[Exception], ...]] = (
    *(kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)),
    StoreError,
    StoreUnavailable,
    StoreConflict,
    StoreFormatError,
    Unanswered,
    ActorFailed,
    ActorDeadError,
    MailboxFull,
)
"""The errors of an ask. A subclass that is not among them crosses as its nearest parent, a bug as ``ActorFailed``."""


class Uncrossable(Exception):
    """The value is of a kind that does not cross, or the bytes are no such value."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_NAMED: Final = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])


class _Kinds:
    """Values of several types, told apart by their types' names."""

    def __init__(self, kinds: Iterable[type]) -> None:
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
            kind.__name__: msgspec.msgpack.Decoder(kind) for kind in kinds
        }

    def encode(self, value: object) -> bytes:
        name = type(value).__name__
        if name not in self._decoders:
            raise Uncrossable(f"{name} stands in no table of actors.wire")
        return _ENCODER.encode((name, value))

    def decode(self, encoded: bytes) -> Any:
        try:
            name, body = _NAMED.decode(encoded)
            return self._decoders[name].decode(body)
        except (msgspec.MsgspecError, KeyError) as error:
            raise Uncrossable(str(error)) from error


_MESSAGES: Final = _Kinds((*ASKS, Batch))
_EVENTS: Final = _Kinds(EVENTS)
_OUTCOMES: Final = msgspec.msgpack.Decoder(list[Outcome])
_ANSWERS: Final[Mapping[type, msgspec.msgpack.Decoder[Any]]] = {
    message: msgspec.msgpack.Decoder(answer_type(message)) for message in ASKS
}

encode_message = _MESSAGES.encode
decode_message = _MESSAGES.decode
encode_event = _EVENTS.encode
decode_event = _EVENTS.decode
encode_answer = _ENCODER.encode


def decode_answer(message: Ask[A], encoded: bytes) -> A:
    """Decodes the answer to ``message``. Raises ``Uncrossable``."""
    answer: A = _decode(_ANSWERS[type(message)], encoded)
    return answer


def decode_outcomes(encoded: bytes) -> list[Outcome]:
    """Decodes the answer to a batch. Raises ``Uncrossable``."""
    outcomes: list[Outcome] = _decode(_OUTCOMES, encoded)
    return outcomes


def _decode(decoder: msgspec.msgpack.Decoder[Any], encoded: bytes) -> Any:
    try:
        return decoder.decode(encoded)
    except msgspec.MsgspecError as error:
        raise Uncrossable(f"no such answer: {error}") from error


class _Refusal:
    """A kind of refusal; its facts are its constructor's arguments, or a text at most without a constructor."""

    def __init__(self, kind: type[Exception]) -> None:
        self._kind = kind
        made_by = kind.__init__
        self._parameters: list[Parameter] | None = None
        facts: Any = tuple[str, ...]
        if isinstance(made_by, FunctionType):
            self._parameters = list(signature(made_by).parameters.values())[1:]
            hints = get_type_hints(made_by)
            facts = GenericAlias(tuple, tuple(_type_of(each, hints[each.name]) for each in self._parameters))
        self._decoder = msgspec.msgpack.Decoder(facts)

    def facts(self, refusal: Exception) -> tuple[object, ...]:
        if self._parameters is None:
            return tuple(map(str, refusal.args))
        return tuple(getattr(refusal, each.name) for each in self._parameters)

    def again(self, encoded: msgspec.Raw) -> Exception:
        facts = self._decoder.decode(encoded)
        if self._parameters is None:
            return self._kind(*facts)
        places: list[object] = []
        names: dict[str, object] = {}
        for parameter, fact in zip(self._parameters, facts, strict=True):
            if parameter.kind is Parameter.VAR_POSITIONAL:
                places += fact
            elif parameter.kind is Parameter.KEYWORD_ONLY:
                names[parameter.name] = fact
            else:
                places.append(fact)
        return self._kind(*places, **names)


def _type_of(parameter: Parameter, hint: Any) -> Any:
    return GenericAlias(tuple, (hint, ...)) if parameter.kind is Parameter.VAR_POSITIONAL else hint


_REFUSALS: Final = {kind.__name__: _Refusal(kind) for kind in REFUSALS}


def encode_refusal(error: Exception) -> bytes:
    """Encodes a refusal's type and facts. A bug crosses without its text, which may hold personal data."""
    kind = next((each for each in type(error).__mro__ if each in REFUSALS), None)
    if kind is None:
        return encode_refusal(ActorFailed("failed"))
    return _ENCODER.encode((kind.__name__, _REFUSALS[kind.__name__].facts(error)))


def decode_refusal(encoded: bytes) -> Exception:
    """Decodes an exception to raise. Raises ``Uncrossable``."""
    try:
        name, facts = _NAMED.decode(encoded)
        return _REFUSALS[name].again(facts)
    except (msgspec.MsgspecError, KeyError) as error:
        raise Uncrossable(str(error)) from error
