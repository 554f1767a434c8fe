"""An ask is a message that names the kind of actor that it is for, and the type that it is answered with."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

A = TypeVar("A")


class Ask(Generic[A]):
    """Base of messages that are answered; ``Supervisor.ask`` returns an ``A``.

    An actor that does not exist answers None, so a message to a kind whose keys may mean nothing is an ``Ask[X | None]``::

        @dataclass(frozen=True, slots=True)
        class Look(Ask[VehicleView | None]):
            kind: ClassVar[str] = KIND
    """

    __slots__ = ()

    kind: ClassVar[str]
    """The kind of the actors that take the message."""


def answer_type(message: type[Ask[Any]]) -> Any:
    """The ``A`` of a class of messages."""
    for each in message.__mro__:
        for base in vars(each).get("__orig_bases__", ()):
            if get_origin(base) is Ask:
                (answer,) = get_args(base)
                return answer
    raise TypeError(f"{message.__name__} does not say what it is answered with")
