"""The tokens of links: their making and parsing. The token names its link, and only its hash is stored (R62)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from domain.errors import NotFound

LinkKind = Literal["share", "delegation"]

ID_CHARS: Final = 16
"""Length of the id of anything that a command makes (``api.http.calls.Command``)."""
SECRET_BYTES: Final = 24
MAX_ID_CHARS: Final = 40
_LETTERS: Final[dict[LinkKind, str]] = {"share": "s", "delegation": "d"}
_KINDS: Final[dict[str, LinkKind]] = {letter: kind for kind, letter in _LETTERS.items()}
_TOKEN: Final = re.compile(f"([sd])([0-9a-f]{{{ID_CHARS}}})[A-Za-z0-9_-]{{{SECRET_BYTES * 4 // 3}}}")
_ID: Final = re.compile(f"[0-9a-f]{{16,{MAX_ID_CHARS}}}")


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A token as presented: the link that it would open, and the hash to compare."""

    kind: LinkKind
    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class NewLink:
    """A newly made token, which is shown once."""

    id: str
    token: str
    hash: str
    url: str


def new_link(kind: LinkKind, *, command_id: str, secret: bytes, public_url: str) -> NewLink:
    """Make the link of a command; a repeated command gets the same link. The token stands in the fragment only."""
    letter, link_id = _LETTERS[kind], made_by(command_id)
    token = letter + link_id + urlsafe_b64encode(secret[:SECRET_BYTES]).decode("ascii")
    return NewLink(link_id, token, _hash(token), f"{public_url.rstrip('/')}/{letter}#{token}")


def read_token(text: str) -> LinkToken:
    """Parse a token. Raises ``NotFound`` for a text that no link of ours has."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise NotFound
    return LinkToken(_KINDS[found[1]], found[2], _hash(text))


def made_by(command_id: str) -> str:
    """Return the id of the object that a command makes."""
    return command_id[:ID_CHARS]


def checked_id(text: str) -> str:
    """Return an id from a path. Raises ``NotFound`` for a malformed id, before any actor is asked."""
    if _ID.fullmatch(text) is None:
        raise NotFound
    return text


def _hash(token: str) -> str:
    return sha256(token.encode("ascii")).hexdigest()
