"""The message ids, and the kind of answer that each deserves."""

from __future__ import annotations

from typing import Final

TERMINAL_REPLY: Final = 0x0001
HEARTBEAT: Final = 0x0002
LOGOUT: Final = 0x0003
TIME_QUERY: Final = 0x0004
RESEND_REQUEST_BY_TERMINAL: Final = 0x0005
REGISTER: Final = 0x0100
AUTHENTICATE: Final = 0x0102
PARAMETER_ANSWER: Final = 0x0104
ATTRIBUTE_ANSWER: Final = 0x0107
VENDOR_TIME_QUERY: Final = 0x0109
LOCATION: Final = 0x0200
LOCATION_ANSWER: Final = 0x0201
CONTROL_ANSWER: Final = 0x0500
DRIVER_CARD: Final = 0x0702
LOCATION_BATCH: Final = 0x0704
MEDIA: Final = 0x0801
TRANSPARENT: Final = 0x0900

PLATFORM_REPLY: Final = 0x8001
RESEND_REQUEST: Final = 0x8003
TIME_ANSWER: Final = 0x8004
REGISTER_ANSWER: Final = 0x8100
VENDOR_TIME_ANSWER: Final = 0x8109
MEDIA_ANSWER: Final = 0x8800

RESULT_OK: Final = 0
RESULT_FAILED: Final = 1
RESULT_BAD_MESSAGE: Final = 2
RESULT_UNSUPPORTED: Final = 3

REGISTERED: Final = 0
NO_SUCH_TERMINAL: Final = 4

BEFORE_AUTHENTICATION: Final = frozenset({REGISTER, AUTHENTICATE, LOGOUT, TIME_QUERY, VENDOR_TIME_QUERY})
"""Messages that a terminal may send before it authenticates."""

NEVER_ANSWERED: Final = frozenset({TERMINAL_REPLY, PLATFORM_REPLY, REGISTER_ANSWER})
"""Replies, ours too (a terminal that echoes): answering them could go on for ever."""

ANSWERS_TO_US: Final = frozenset(
    {PARAMETER_ANSWER, ATTRIBUTE_ANSWER, LOCATION_ANSWER, CONTROL_ANSWER}
    | {0x0608, 0x0700, 0x0802, 0x0805, 0x1003, 0x1205}
)
"""Answers that need no acknowledgement, and get one all the same: it does no harm."""

ACKNOWLEDGED_ONLY: Final = (
    ANSWERS_TO_US
    | {HEARTBEAT, RESEND_REQUEST_BY_TERMINAL, DRIVER_CARD, TRANSPARENT}
    | {0x0108, 0x0301, 0x0302, 0x0303, 0x0701, 0x0705, 0x0800, 0x0901, 0x1005, 0x1206, 0x1210, 0x1211, 0x1212}
    | {0x0210, 0x0506, 0x1007, 0x1300, 0x2070, 0x6006}
    | set(range(0xE000, 0xF000))
)
"""Messages that we understand well enough to acknowledge, and do not use further."""

SUPPORTED: Final = ACKNOWLEDGED_ONLY | BEFORE_AUTHENTICATION | NEVER_ANSWERED | {LOCATION, LOCATION_BATCH, MEDIA}
"""Messages that we support; every other one is answered as unsupported."""
