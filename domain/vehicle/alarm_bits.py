"""The bits of ``Fix.alarms``, by name.

Bits 0-31 are the JT/T 808 alarm word of message 0x0200. Above it stand the conditions that only additional items carry:
item 0x18 (JT/T 1078 abnormal driving) and the active-safety items 0x64-0x67 (T/JSATL 12). An active-safety item has a
bit (35-47) and a latch (the bit << ``LATCH_SHIFT``, 48-60), which together repeat the item's state byte. The bit alone
is a single event (state 0). Bit and latch are a start that holds until its end (state 1). The latch alone is the end
(state 2). All of it fits MessagePack's 64-bit integers.
"""

from __future__ import annotations

from typing import Final

EMERGENCY: Final = 1 << 0
SPEEDING: Final = 1 << 1
FATIGUE: Final = 1 << 2
DANGEROUS_DRIVING: Final = 1 << 3
SPEEDING_WARNING: Final = 1 << 13
FATIGUE_WARNING: Final = 1 << 14
COLLISION: Final = 1 << 29
ROLLOVER: Final = 1 << 30

WORD: Final = 0xFFFF_FFFF
"""The bits of the alarm word itself."""

# Item 0x18, held as long as reports repeat it.
ITEM_FATIGUE: Final = 1 << 32
ITEM_PHONE: Final = 1 << 33
ITEM_SMOKING: Final = 1 << 34

# Items 0x64 (ADAS), 0x65 (driver), 0x66 (tyres), 0x67 (blind spot): single events, or starts and ends.
CAMERA_FORWARD_COLLISION: Final = 1 << 35
CAMERA_LANE_DEPARTURE: Final = 1 << 36
CAMERA_TOO_CLOSE: Final = 1 << 37
CAMERA_PEDESTRIAN: Final = 1 << 38
CAMERA_FATIGUE: Final = 1 << 39
CAMERA_PHONE: Final = 1 << 40
CAMERA_SMOKING: Final = 1 << 41
CAMERA_DISTRACTED: Final = 1 << 42
CAMERA_DRIVER_ABNORMAL: Final = 1 << 43
CAMERA_OVERTIME: Final = 1 << 44
CAMERA_NO_BELT: Final = 1 << 45
TYRE: Final = 1 << 46
BLIND_SPOT: Final = 1 << 47

CAMERA: Final = ((1 << 48) - 1) ^ ((1 << 35) - 1)
"""Every bit that comes from items 0x64-0x67."""
LATCH_SHIFT: Final = 13
"""The shift from a CAMERA bit to its latch."""
