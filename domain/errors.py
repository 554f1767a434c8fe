"""What may be refused, by name? A refusal carries its facts and knows no HTTP; ``api/http/problems.py`` turns it into an answer."""

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


class DriverOnly(DomainError):
    """A call for drivers, made by somebody without a valid qualification certificate (R3)."""


class NaturalPersonOnly(DomainError):
    """A call for natural persons, made by a business (R1)."""


class RealNameRequired(DomainError):
    """A call for registered persons, made by an account that has shown a phone or a WeChat identity only (R5)."""


class CodeRefused(DomainError):
    """A WeChat or phone code that the identity provider does not take: unknown, used before, or too old (R61)."""


class RealNameMismatch(DomainError):
    """Name and citizen ID are not those of one person; never says which (R2, R61)."""


class IdempotencyKeyReused(DomainError):
    """The same key came with another request: its first answer would be a wrong one."""


class KeyForgotten(IdempotencyKeyReused):
    """What this command made was made longer ago than a key is remembered: with the same key comes a new call by now."""


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
    """An operator's call without the operators' key; ``configured`` is False while there is none, and the call needs one."""

    def __init__(self, *, configured: bool = True) -> None:
        super().__init__(configured)
        self.configured = configured


class Busy(DomainError):
    """Nothing was done: too much is under way, or what it needs does not answer; the same again later may well succeed."""

    def __init__(self, *, retry_after_s: float = 2.0) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class ProviderUnavailable(Busy):
    """The identity provider does not answer, is busy, or answers what nobody understands."""


class VehicleMismatch(DomainError):
    """Plate, colour, certificate number and VIN are not those of one registered vehicle; never says which (R11, R16)."""


class TooManyBindings(DomainError):
    """So many vehicles are bound already (R12)."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class TooManyIn12Months(DomainError):
    """So many different vehicles within 12 months (R13); ``frees_at`` (Unix seconds) is infinite while all are bound."""

    def __init__(self, *, limit: int, frees_at: float) -> None:
        super().__init__(limit, frees_at)
        self.limit = limit
        self.frees_at = frees_at


class AlreadyBound(DomainError):
    """The driver has bound this vehicle (R14)."""


class TooManyShares(DomainError):
    """So many share links of the vehicle live, over all its drivers (R18)."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class SharingOtherVehicle(DomainError):
    """The driver shares another vehicle now (R19), that of ``binding_id``."""

    def __init__(self, *, binding_id: str) -> None:
        super().__init__(binding_id)
        self.binding_id = binding_id


class TooManyDelegations(DomainError):
    """So many delegation links of the driver can still be used."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class LinkTaken(DomainError):
    """Somebody else opened the link first (R20, R23)."""


class OwnLink(DomainError):
    """The driver's own link, which the driver does not use up (R20)."""


class ShareEnded(DomainError):
    """The share was cancelled, has expired, or its binding ended: nothing of it is shown any more (R33)."""


class DelegationEnded(DomainError):
    """The delegation has served, was withdrawn, or has expired (R23)."""
