"""The table of every call, used both to serve and to describe them."""

from __future__ import annotations

from aiohttp import web

from api.accounts.accounts import AccountView
from api.accounts.audit_list import AuditPage
from api.accounts.me import AuditQuery, Certificates, Me, MeDesk
from api.accounts.people import People
from api.accounts.registration import Registration, RegistrationDesk
from api.accounts.session_desk import SessionDesk, SessionItems, SessionsEnded
from api.accounts.sessions import Sessions
from api.accounts.sign_in import SignedIn, SignIn, SignInDesk, TermsAnswer
from api.document.page import DocumentDesk
from api.http.calls import Auth, Route
from api.http.gates import Gates
from api.http.listing import ListQuery
from api.live_routes import LiveSide
from api.operations.health import Alive, ClockView, Health, Readiness
from api.operations.metrics import MetricsDesk
from api.operations.ops import Advance, OpsDesk
from api.pages import ConfigDesk, WebConfig
from api.ports import Services
from api.shown.share_view import ShareViews
from api.sides.routes import side_routes
from api.sides.telemetry import CONTENT_TYPE, TelemetryDesk
from domain.errors import (
    CodeRefused,
    ProviderUnavailable,
    RealNameMismatch,
    TermsNotAccepted,
    TooManyAttempts,
    WrongCredentials,
)
from gateway.feed import MAX_BYTES, Batch, FeedAnswer


def table(
    services: Services,
    *,
    people: People,
    sessions: Sessions,
    gates: Gates,
    views: ShareViews,
    ops: OpsDesk,
    metrics: MetricsDesk,
    live: LiveSide,
) -> tuple[Route, ...]:
    """List every call that this application answers."""
    return (
        *_accounts(SignInDesk(services, people=people, sessions=sessions, gates=gates), SessionDesk(sessions)),
        *_people(RegistrationDesk(services, people=people, gates=gates), MeDesk(services, people)),
        *side_routes(services, gates=gates, views=views),
        *live.routes(),
        *_telemetry(TelemetryDesk(services.feed)),
        *_operations(ops, metrics),
        *_documents(DocumentDesk(services.version)),
        *_pages(ConfigDesk(services.pages, identity=services.identity.name, version=services.version)),
        *(_clock(ops) if services.advance is not None else ()),
    )


def _accounts(desk: SignInDesk, of_session: SessionDesk) -> tuple[Route, ...]:
    return (
        Route("GET", "/api/v1/terms", desk.terms, "服务使用声明", answer=TermsAnswer),
        Route(
            "POST",
            "/api/v1/sessions",
            desk.sign_in,
            "登录",
            body=SignIn,
            answer=SignedIn,
            status=201,
            refusals=(TermsNotAccepted, WrongCredentials, CodeRefused, TooManyAttempts, ProviderUnavailable),
        ),
        Route(
            "GET",
            "/api/v1/sessions",
            of_session.list,
            "我的登录",
            auth=Auth.SESSION,
            query=ListQuery,
            answer=SessionItems,
        ),
        Route(
            "DELETE",
            "/api/v1/sessions",
            of_session.end_others,
            "退出其他所有登录",
            auth=Auth.SESSION,
            answer=SessionsEnded,
        ),
        Route("DELETE", "/api/v1/sessions/current", of_session.sign_out, "退出登录", auth=Auth.SESSION, status=204),
        Route("DELETE", "/api/v1/sessions/{id}", of_session.end, "结束一个登录", auth=Auth.SESSION, status=204),
    )


def _people(registration: RegistrationDesk, me: MeDesk) -> tuple[Route, ...]:
    return (
        Route(
            "POST",
            "/api/v1/registration",
            registration.register,
            "实名注册",
            auth=Auth.NATURAL,
            body=Registration,
            answer=AccountView,
            idempotent=True,
            refusals=(RealNameMismatch, CodeRefused, TooManyAttempts, ProviderUnavailable),
        ),
        Route("GET", "/api/v1/me", me.me, "我的账号", auth=Auth.SESSION, answer=Me),
        Route("GET", "/api/v1/me/certificates", me.certificates, "我的证照", auth=Auth.SESSION, answer=Certificates),
        Route(
            "GET",
            "/api/v1/me/audit",
            me.audit,
            "我的操作记录",
            auth=Auth.SESSION,
            query=AuditQuery,
            answer=AuditPage,
        ),
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
            form=Batch,
            max_bytes=MAX_BYTES,
        ),
    )


def _operations(desk: OpsDesk, metrics: MetricsDesk) -> tuple[Route, ...]:
    return (
        Route("GET", "/healthz", desk.healthz, "进程存活", answer=Alive),
        Route("GET", "/readyz", desk.readyz, "可以接收请求", answer=Readiness, others=((503, Readiness),)),
        Route("GET", "/health", desk.health, "运行状况", auth=Auth.OPS_KEY, answer=Health),
        Route(
            "GET",
            "/metrics",
            metrics.metrics,
            "Prometheus 指标",
            auth=Auth.OPS_KEY,
            answer=web.Response,
            media_type="text/plain",
        ),
    )


def _pages(desk: ConfigDesk) -> tuple[Route, ...]:
    return (Route("GET", "/api/v1/web-config", desk.config, "网页的设置", answer=WebConfig),)


def _documents(desk: DocumentDesk) -> tuple[Route, ...]:
    return (
        Route("GET", "/api/v1/openapi.json", desk.openapi, "接口文档（OpenAPI 3.1）", answer=dict, etag=True),
        Route("GET", "/docs", desk.page, "阅读和试用接口的网页", answer=web.Response, media_type="text/html"),
        Route("GET", "/docs/docs.css", desk.style, "该网页的样式", answer=web.Response, media_type="text/css"),
        Route("GET", "/docs/docs.js", desk.script, "该网页的脚本", answer=web.Response, media_type="text/javascript"),
    )


def _clock(desk: OpsDesk) -> tuple[Route, ...]:
    return (Route("POST", "/dev/clock", desk.advance, "拨动虚拟时钟（仅供测试）", body=Advance, answer=ClockView),)
