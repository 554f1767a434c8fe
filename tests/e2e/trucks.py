"""A truck that talks to the gateway in tests: one blocking socket, one message at a time."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final, NamedTuple, Self

from domain.vehicle.alarm_bits import EMERGENCY
from domain.vehicle.fix import STATUS_ACC_ON, STATUS_POSITIONED, Fix
from gateway.jt808.codec import message_ids as ids
from gateway.jt808.codec.frames import Frame, FrameReader, decode
from gateway.jt808.codec.location import encode_location
from gateway.jt808.codec.messages import BATCH_NORMAL, Reply, encode_batch
from gateway.jt808.codec.registration import Registration, RegistrationAnswer
from sim.registry_lines import Identity
from tests.e2e.processes import address_of
from tests.gateway.neighbours import Terminal
from tests.patience import PATIENCE_S

SPEED_DKMH: Final = 360
STEP_E6: Final = 90
"""Ten metres north, which is a second at that speed."""


class Report(NamedTuple):
    """A truck's position at an instant, the same for the terminal's frame and the feed's row."""

    fixed_at: int
    lon_e6: int
    lat_e6: int
    alarms: int = 0

    @property
    def place_e6(self) -> tuple[int, int]:
        return self.lon_e6, self.lat_e6

    def as_body(self) -> bytes:
        return encode_location(
            fixed_at=self.fixed_at,
            lat_e6=self.lat_e6,
            lon_e6=self.lon_e6,
            speed_dkmh=SPEED_DKMH,
            alarm_word=self.alarms,
            status=STATUS_ACC_ON | STATUS_POSITIONED,
        )

    def as_row(self, phone: str) -> Fix:
        status = STATUS_ACC_ON | STATUS_POSITIONED
        return Fix(phone, self.fixed_at, self.lon_e6, self.lat_e6, 0, SPEED_DKMH, 0, self.alarms, status, 0)


def report(index: int, since: int, second: int, *, emergency: bool = False) -> Report:
    """Truck ``index`` ``second`` seconds after it set out; each has a road of its own."""
    return Report(since + second, 110_000_000 + index * 10_000, 30_000_000 + second * STEP_E6, EMERGENCY * emergency)


class Truck:
    """A terminal's side of the conversation. Raises ``ConnectionError`` when the service has gone."""

    def __init__(self, who: Identity, jt808: str, *, protocol_version: int | None = None) -> None:
        self._who = who
        self._terminal = Terminal(who.phone, protocol_version)
        self._socket = socket.create_connection(address_of(jt808), PATIENCE_S)
        self._reader = FrameReader()
        self._heard: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def registers(self) -> RegistrationAnswer:
        body = Registration(44, 300, "70111", "T-1", "0000001", 2, self._who.plate).encode()
        self._socket.sendall(self._terminal.says(ids.REGISTER, body))
        return RegistrationAnswer.decode(self._hears(ids.REGISTER_ANSWER).body)

    def authenticates(self, code: str) -> int:
        """The answer's result."""
        return self._asks(self._terminal.authenticates(code))

    def signs_on(self) -> str:
        """Registers and authenticates; the code."""
        answer = self.registers()
        assert answer.result == ids.REGISTERED
        assert self.authenticates(answer.auth_code) == ids.RESULT_OK
        return answer.auth_code

    def reports(self, here: Report) -> int:
        """The answer's result."""
        return self._asks(self._terminal.says(ids.LOCATION, here.as_body()))

    def sends(self, here: Report) -> int:
        """Waits for nothing; the report's serial, for ``hears_of``."""
        self._socket.sendall(self._terminal.says(ids.LOCATION, here.as_body()))
        return (self._terminal.serial - 1) & 0xFFFF

    def hears_of(self, serial: int, *, within_s: float) -> bool:
        """Tell whether it is acknowledged in time."""
        self._socket.settimeout(within_s)
        try:
            return self._answer_to(serial) == ids.RESULT_OK
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(PATIENCE_S)

    def reports_in_a_batch(self, *places: Report) -> int:
        """The answer's result."""
        body = encode_batch([here.as_body() for here in places], type=BATCH_NORMAL)
        return self._asks(self._terminal.says(ids.LOCATION_BATCH, body))

    def _asks(self, frame: bytes) -> int:
        serial = (self._terminal.serial - 1) & 0xFFFF
        self._socket.sendall(frame)
        return self._answer_to(serial)

    def _answer_to(self, serial: int) -> int:
        while True:
            reply = Reply.decode(self._hears(ids.PLATFORM_REPLY).body)
            if reply.ack_serial == serial:
                return reply.result

    def _hears(self, message_id: int) -> Frame:
        while True:
            while not self._heard:
                chunk = self._socket.recv(4096)
                if not chunk:
                    raise ConnectionResetError("the platform hung up")
                self._heard += self._reader.feed(chunk)
            frame = decode(self._heard.pop(0))
            if frame.message_id == message_id:
                return frame
