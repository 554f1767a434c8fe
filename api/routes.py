"""Which calls are there? One table: what serves them and what describes them both read it."""

from __future__ import annotations

from aiohttp import web

from api.calls import Auth, Route
from api.edge import CallFigures
from api.health import Alive, ClockView, Health, Readiness
from api.metrics import MetricsDesk
from api.ops import Advance, OpsDesk
from api.owner import OwnerDesk, VehicleItems, VehicleList, VehiclePage
from api.ports import Services
from api.sessions import Sessions
from api.sign_in import Certificates, Me, SignedIn, SignIn, SignInDesk, TermsAnswer
from api.telemetry import CONTENT_TYPE, TelemetryDesk
from api.vitals import Vitals
from gateway.feed import MAX_BYTES, FeedAnswer


def table(services: Services, *, sessions: Sessions, vitals: Vitals, figures: CallFigures) -> tuple[Route, ...]:
    """Every call that this application answers."""
    ops = OpsDesk(services, vitals)
    return (
        *_accounts(SignInDesk(services, sessions)),
        *_owner(OwnerDesk(services)),
        *_telemetry(TelemetryDesk(services.feed)),
        *_operations(ops, MetricsDesk(services, vitals, figures, ops)),
        *(_clock(ops) if services.advance is not None else ()),
    )


def _accounts(desk: SignInDesk) -> tuple[Route, ...]:
    return (
        Route("GET", "/api/v1/terms", desk.terms, "服务使用声明", answer=TermsAnswer),
        Route("POST", "/api/v1/sessions", desk.sign_in, "登录", body=SignIn, answer=SignedIn, status=201),
        Route("DELETE", "/api/v1/sessions/current", desk.sign_out, "退出登录", auth=Auth.SESSION, status=204),
        Route("GET", "/api/v1/me", desk.me, "我的账号", auth=Auth.SESSION, answer=Me),
        Route("GET", "/api/v1/me/certificates", desk.certificates, "我的证照", auth=Auth.SESSION, answer=Certificates),
    )


def _owner(desk: OwnerDesk) -> tuple[Route, ...]:
    path = "/api/v1/owner/vehicles"
    return (
        Route("GET", path, desk.vehicles, "业户的车辆", auth=Auth.OWNER, query=VehicleList, answer=VehicleItems),
        Route("GET", f"{path}/{{id}}", desk.vehicle, "一辆车的详情", auth=Auth.OWNER, answer=VehiclePage),
    )


def _telemetry(desk: TelemetryDesk) -> tuple[Route, ...]:
    return (
        Route(
            "POST",
            "/api/v1/telemetry",
            desk.take,
            "其他平台上报位置",
            auth=Auth.FEED_KEY,
            body=bytes,
            answer=FeedAnswer,
            content_type=CONTENT_TYPE,
            max_bytes=MAX_BYTES,
        ),
    )


def _operations(desk: OpsDesk, metrics: MetricsDesk) -> tuple[Route, ...]:
    return (
        Route("GET", "/healthz", desk.healthz, "进程存活", answer=Alive),
        Route("GET", "/readyz", desk.readyz, "可以接收请求", answer=Readiness),
        Route("GET", "/health", desk.health, "运行状况", auth=Auth.OPS_KEY, answer=Health),
        Route("GET", "/metrics", metrics.metrics, "Prometheus 指标", auth=Auth.OPS_KEY, answer=web.Response),
    )


def _clock(desk: OpsDesk) -> tuple[Route, ...]:
    return (Route("POST", "/dev/clock", desk.advance, "拨动虚拟时钟（仅供测试）", body=Advance, answer=ClockView),)
