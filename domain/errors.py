"""Refusals by name. A refusal carries its facts and knows no HTTP; ``api/http/problems.py`` turns it into an answer."""

from __future__ import annotations


class DomainError(Exception):
    """A refusal by a rule: an answer to the caller, never a failure of the actor that gives it."""


class NotFound(DomainError):
    """The thing does not exist, or belongs to another account: the two are never told apart."""


class TermsNotAccepted(DomainError):
    """The account has not accepted the current service statement (R1)."""

    def __init__(self, version: str) -> None:
        super().__init__(version)
        self.version = version


class WrongCredentials(DomainError):
    """User name or password is wrong; the refusal never says which (R61)."""


class TooManyAttempts(DomainError):
    """Too many attempts: guessing is expensive (R61)."""

    def __init__(self, *, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class Unauthenticated(DomainError):
    """The call has no session, or one that is unknown, revoked or expired."""


class OwnerOnly(DomainError):
    """A call for businesses, made by another kind of account (R4)."""


class DriverOnly(DomainError):
    """A call for drivers, made by an account without a valid qualification certificate (R3)."""


class NaturalPersonOnly(DomainError):
    """A call for natural persons, made by a business (R1)."""


class RealNameRequired(DomainError):
    """A call for registered persons, made by an account that has shown only a phone or a WeChat identity (R5)."""


class CodeRefused(DomainError):
    """A WeChat or phone code that the identity provider does not take: unknown, used before, or too old (R61)."""


class RealNameMismatch(DomainError):
    """Name and citizen ID are not those of one person; the refusal never says which (R2, R61)."""


class IdempotencyKeyReused(DomainError):
    """The same key came with another request, so the first answer would be a wrong one."""


class KeyForgotten(IdempotencyKeyReused):
    """The command with this key was done longer ago than keys are remembered; the same key now means a new call."""


class InvalidInput(DomainError):
    """The input can't be read, or breaks a limit; ``errors`` holds (field, Chinese sentence), at least one."""

    def __init__(self, *errors: tuple[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


class FeedKeyInvalid(DomainError):
    """A feed without the right key; ``configured`` is False while this service has none and refuses every feed."""

    def __init__(self, *, configured: bool) -> None:
        super().__init__(configured)
        self.configured = configured


class OpsKeyInvalid(DomainError):
    """An operator's call without the operators' key; ``configured`` is False while this service has none."""

    def __init__(self, *, configured: bool = True) -> None:
        super().__init__(configured)
        self.configured = configured


class Busy(DomainError):
    """The call did nothing: too much is under way, or a dependency does not answer. The same call may succeed later."""

    def __init__(self, *, retry_after_s: float = 2.0) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class ProviderUnavailable(Busy):
    """The identity provider does not answer, is busy, or gives an answer that can't be read."""


class VehicleMismatch(DomainError):
    """Plate, colour, certificate number and VIN are not those of one registered vehicle (R11, R16).

    The refusal never says which.
    """


class TooManyBindings(DomainError):
    """The driver has bound as many vehicles as R12 allows."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class TooManyIn12Months(DomainError):
    """The driver has bound as many vehicles within 12 months as R13 allows.

    ``frees_at`` (Unix seconds) is infinite while all are bound.
    """

    def __init__(self, *, limit: int, frees_at: float) -> None:
        super().__init__(limit, frees_at)
        self.limit = limit
        self.frees_at = frees_at


class AlreadyBound(DomainError):
    """The driver has bound this vehicle already (R14)."""


class TooManyShares(DomainError):
    """The vehicle has as many live share links as R18 allows, counted over all its drivers."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class SharingOtherVehicle(DomainError):
    """The driver shares another vehicle now (R19), the one of ``binding_id``."""

    def __init__(self, *, binding_id: str) -> None:
        super().__init__(binding_id)
        self.binding_id = binding_id


class TooManyDelegations(DomainError):
    """The driver has as many usable delegation links as one driver may have."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class LinkTaken(DomainError):
    """Another account opened the link first (R20, R23)."""


class OwnLink(DomainError):
    """The link is the driver's own: opening it does not use it up (R20)."""


class ShareEnded(DomainError):
    """The share was cancelled, has expired, or its binding ended: nothing of it is shown any longer (R33)."""


class DelegationEnded(DomainError):
    """The delegation has served, was withdrawn, or has expired (R23)."""
