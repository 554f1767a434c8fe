"""The faults of terminals: their kinds, their rates and their moments."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from sim.habits import Device, FatigueCarrier
from sim.truck import POSITIONED, SPEEDING, Report, Truck

HOUR_S: Final = 3600
_ASTRAY_E6: Final = 400_000
_ABSURD_WORD: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Probabilities per report, unless a field says otherwise."""

    duplicate: float = 0.0
    swapped: float = 0.0
    """The report is sent after the next."""
    bad_checksum: float = 0.0
    noise: float = 0.0
    """Bytes that belong to no frame come between frames."""
    chopped: float = 0.0
    """The frame arrives in two pieces."""
    junk_items: float = 0.0
    no_fix: float = 0.0
    null_island: float = 0.0
    """The position is (0,0), reported as valid."""
    astray: float = 0.0
    """The position is out of any truck's reach."""
    absurd_alarms: float = 0.0
    """The alarm word cannot be true."""
    reboot: float = 0.0
    clock_offsets: tuple[tuple[float, int], ...] = ()
    """Pairs of (probability per terminal, seconds ahead)."""
    storm_every_s: float = 0.0
    """Real seconds between storms, in which many connections break at once; 0 for none."""
    storm_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Sending:
    """The faults in the sending of one report."""

    duplicate: bool
    swapped: bool
    bad_checksum: bool
    noise: bool
    chopped: bool
    junk_items: bool
    reboot: bool


_FAULTLESS: Final = Sending(False, False, False, False, False, False, False)


class Faults:
    """A terminal's faults, a function of the seed, the truck and the report's time."""

    __slots__ = ("_garbles", "_key", "_rates", "_sends_badly", "clock_offset_s", "in_storms")

    def __init__(self, rates: FaultRates, *, seed: int, index: int) -> None:
        rng = Random(f"{seed}/faults/{index}")
        self._rates = rates
        self._key = rng.getrandbits(48)
        self.clock_offset_s = _drawn(rng.random(), rates.clock_offsets)
        self.in_storms = rng.random() < rates.storm_share
        self._sends_badly = any(
            (
                rates.duplicate,
                rates.swapped,
                rates.bad_checksum,
                rates.noise,
                rates.chopped,
                rates.junk_items,
                rates.reboot,
            )
        )
        self._garbles = any((rates.no_fix, rates.null_island, rates.astray, rates.absurd_alarms))

    def sending(self, at: int) -> Sending:
        """Return the faults in sending the report of this second."""
        if not self._sends_badly:
            return _FAULTLESS
        rng, rates = Random(self._key ^ at), self._rates
        return Sending(
            duplicate=rng.random() < rates.duplicate,
            swapped=rng.random() < rates.swapped,
            bad_checksum=rng.random() < rates.bad_checksum,
            noise=rng.random() < rates.noise,
            chopped=rng.random() < rates.chopped,
            junk_items=rng.random() < rates.junk_items,
            reboot=rng.random() < rates.reboot,
        )

    def measured(self, truck: Truck, at: int) -> Report:
        """Return the truck's report of this second, or the version of a faulty terminal.

        Only quiet moments, without an alarm, are spoilt: no rule says what an absurd word or a missing speed means for
        a running alarm.
        """
        report = truck.report(at)
        if not self._garbles or not _quiet(report, truck.device):
            return report
        spoilt = self._spoilt(report, truck.device, Random(~self._key ^ at).random())
        return spoilt if spoilt is not report and _quiet(truck.report(at - truck.period_s), truck.device) else report

    def _spoilt(self, report: Report, device: Device, draw: float) -> Report:
        rates = self._rates
        if draw < rates.no_fix:
            return report._replace(lon_e6=0, lat_e6=0, speed_dkmh=0, status=report.status & ~POSITIONED)
        draw -= rates.no_fix
        if draw < rates.null_island:
            return report._replace(lon_e6=0, lat_e6=0, speed_dkmh=0)
        draw -= rates.null_island
        if draw < rates.astray:
            return report._replace(lon_e6=report.lon_e6 + _ASTRAY_E6, speed_dkmh=0)
        draw -= rates.astray
        if draw < rates.absurd_alarms and device.computes_speeding:
            return report._replace(alarms=_ABSURD_WORD if report.speed_dkmh else SPEEDING)
        return report


def _quiet(report: Report, device: Device) -> bool:
    may_hold = device.fatigue is FatigueCarrier.CAMERA
    return not (report.alarms or report.abnormal or may_hold) and bool(report.status & POSITIONED)


def _drawn(draw: float, choices: tuple[tuple[float, int], ...]) -> int:
    for chance, value in choices:
        if draw < chance:
            return value
        draw -= chance
    return 0
