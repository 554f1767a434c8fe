"""What may be refused, by name? A refusal carries its facts and knows no HTTP; ``api/problems.py`` turns it into an answer."""

from __future__ import annotations


class DomainError(Exception):
    """A refusal by a rule: an answer to whoever asked, never a failure of the actor that gives it."""


class NotFound(DomainError):
    """There is no such thing, or it belongs to somebody else: the two are never told apart."""


class TermsNotAccepted(DomainError):
    """The current service statement was not accepted (R1)."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


class WrongCredentials(DomainError):
    """User name or password is wrong; never says which (R61)."""


class TooManyAttempts(DomainError):
    """Guessing is expensive (R61)."""

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Unauthenticated(DomainError):
    """No session, or one that is unknown, revoked or expired."""


class OwnerOnly(DomainError):
    """A call for businesses, made by somebody else (R4)."""


class InvalidInput(DomainError):
    """What was sent can't be read, or breaks a limit; ``errors`` holds (field, Chinese sentence), at least one."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


class FeedKeyInvalid(DomainError):
    """A feed without the right key; ``configured`` is False while this service has none, so that nobody has it."""

    def __init__(self, *, configured: bool) -> None:
        super().__init__(configured)
        self.configured = configured


class OpsKeyInvalid(DomainError):
    """An operator's call without the operators' key."""


class Busy(DomainError):
    """Nothing was done: too much is under way, or what it needs does not answer; the same again later may well succeed."""

    def __init__(self, *, retry_after_s: float = 2.0) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s
