"""The document tells the truth about every call, and can be read without internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.document.openapi import ADMISSIONS, TAGS, document, is_stream
from api.document.page import FOLDER
from api.http.calls import JSON, ROUTES, Auth, Route
from api.http.fields import FIELDS
from api.http.problems import CONTENT_TYPE, KINDS
from gateway.feed import MAX_ROWS, FeedRow
from tests.api.conftest import Service

Document = dict[str, Any]
PATH = "/api/v1/openapi.json"
FORMATS = FormatChecker(["date-time", "date"])


@pytest_asyncio.fixture
async def published(service: Service) -> Document:
    return await service.get(PATH, {})


def routes(service: Service) -> tuple[Route, ...]:
    app = service.client.app
    assert app is not None
    table: tuple[Route, ...] = app[ROUTES]
    return table


def operation(published: Document, route: Route) -> Document:
    found: Document = published["paths"][route.path][route.method.lower()]
    return found


def operations(published: Document) -> Iterator[Document]:
    for path in published["paths"].values():
        yield from path.values()


def resolved(published: Document, part: Document) -> Document:
    if "$ref" not in part:
        return part
    found = published
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


async def test_it_is_openapi_3_1(published: Document) -> None:
    assert published["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(published).iter_errors()] == []


async def test_every_call_is_there_with_the_shape_of_its_answer_and_its_body(
    service: Service, published: Document
) -> None:
    for route in routes(service):
        told = operation(published, route)
        answer = told["responses"][str(route.status)]
        if route.status == 204:
            assert "content" not in answer
        elif is_stream(route):
            assert list(answer["content"]) == ["text/event-stream"]
        else:
            assert answer["content"][route.media_type]["schema"], route.path
        assert ("requestBody" in told) == (route.body is not None)
        if route.body is not None:
            assert told["requestBody"]["content"][route.content_type]["schema"]
        assert told["summary"]
        assert told["description"]
        assert told["tags"][0] in TAGS
    assert sum(1 for _ in operations(published)) == len(routes(service))


async def test_the_names_of_the_calls_are_unique(published: Document) -> None:
    names = [told["operationId"] for told in operations(published)]
    assert len(names) == len(set(names))


async def test_every_id_in_a_path_is_a_parameter_that_may_not_be_found(service: Service, published: Document) -> None:
    for route in routes(service):
        told = operation(published, route)
        places = [each["name"] for each in told["parameters"] if each.get("in") == "path"]
        assert places == re.findall(r"{(\w+)}", route.path)
        assert ("404" in told["responses"]) >= bool(places)


async def test_each_kind_of_auth_has_its_scheme_and_its_refusals(service: Service, published: Document) -> None:
    assert set(ADMISSIONS) == set(Auth)
    for route in routes(service):
        told, admission = operation(published, route), ADMISSIONS[route.auth]
        assert [next(iter(each), "") for each in told["security"]] == list(admission.schemes)
        assert set(admission.schemes) - {""} <= set(published["components"]["securitySchemes"])
        codes = set(codes_of(published, told))
        assert {KINDS[refusal].code for refusal in (*admission.refusals, *route.refusals)} <= codes


def codes_of(published: Document, told: Document) -> Iterator[str]:
    for answer in told["responses"].values():
        content = resolved(published, answer).get("content", {})
        if CONTENT_TYPE in content:
            yield from content[CONTENT_TYPE]["schema"]["properties"]["code"]["enum"]


async def test_every_code_of_a_refusal_is_told_at_some_call(published: Document) -> None:
    told = {code for each in operations(published) for code in codes_of(published, each)}
    assert {kind.code for kind in KINDS.values()} - told == set()


async def test_limits_enumerations_and_nulls_are_those_that_validate(published: Document) -> None:
    told = published["paths"]["/api/v1/owner/vehicles"]["get"]
    query = {each["name"]: each["schema"] for each in told["parameters"] if each["in"] == "query"}
    assert (query["limit"]["minimum"], query["limit"]["maximum"]) == (1, 200)
    assert query["list"]["enum"] == ["all", "bound", "expiring"]
    assert query["cursor"]["type"] == "string"
    schemas = published["components"]["schemas"]
    assert "yellow" in schemas["PlateColor"]["enum"]
    assert {"type": "null"} in schemas["VehicleItem"]["properties"]["online"]["anyOf"]
    assert schemas["VehicleItem"]["properties"]["plate_color"]["$ref"].endswith("/PlateColor")


async def test_the_feed_is_told_row_by_row(published: Document) -> None:
    content = published["paths"]["/api/v1/telemetry"]["post"]["requestBody"]["content"]["application/msgpack"]
    assert content["schema"]["maxItems"] == MAX_ROWS
    assert len(published["components"]["schemas"]["FeedRow"]["prefixItems"]) == len(FeedRow._fields)
    assert all(msgspec.convert(each["value"], list[FeedRow]) for each in content["examples"].values())


async def test_the_examples_of_bodies_are_accepted(service: Service, published: Document) -> None:
    for route in routes(service):
        if route.body is None or route.content_type != JSON:
            continue
        examples = operation(published, route)["requestBody"]["content"][JSON]["examples"]
        assert examples
        for example in examples.values():
            msgspec.convert(example["value"], route.body)


async def test_the_examples_of_answers_are_such_answers(service: Service, published: Document) -> None:
    for route in routes(service):
        content = operation(published, route)["responses"][str(route.status)].get("content", {})
        kinds = [route.answer, *(kind for status, kind in route.others if status == route.status)]
        for name, example in content.get(JSON, {}).get("examples", {}).items():
            assert any(is_such(example["value"], kind) for kind in kinds), name


async def test_every_example_fits_its_schema(published: Document) -> None:
    """The examples of bodies, answers, problems and headers count, with formats and enumerations."""
    checked, unfit = 0, []
    for place, schema, value in examples_of(published, ""):
        validator = Draft202012Validator(schema | {"components": published["components"]}, format_checker=FORMATS)
        unfit += [f"{place}: {error.json_path} {error.message}" for error in validator.iter_errors(value)]
        checked += 1
    assert unfit == []
    assert checked > len(list(operations(published)))


def examples_of(part: object, place: str) -> Iterator[tuple[str, Document, object]]:
    """Yield each example's place, with the schema beside it."""
    if isinstance(part, list):
        for number, each in enumerate(part):
            yield from examples_of(each, f"{place}/{number}")
    elif isinstance(part, dict):
        if isinstance(part.get("schema"), dict):
            for name, example in part.get("examples", {}).items():
                yield f"{place}/{name}", part["schema"], example["value"]
        for name, each in part.items():
            yield from examples_of(each, f"{place}/{name}")


@pytest.mark.parametrize("value", ["…", 7, "2026-03-01", "2026-03-01T08:30:00"])
def test_an_example_that_does_not_fit_would_be_found(value: object) -> None:
    part = {"schema": {"type": "string", "format": "date-time"}, "examples": {"wrong": {"value": value}}}
    ((_, schema, example),) = examples_of({"a": [part]}, "")
    assert list(Draft202012Validator(schema, format_checker=FORMATS).iter_errors(example))


def is_such(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


async def test_every_field_is_told_in_chinese(published: Document) -> None:
    schemas = published["components"]["schemas"].values()
    names = {name for schema in schemas for name in schema.get("properties", {})}
    assert sorted(name for name in names if name not in FIELDS) == []


async def test_what_cannot_be_sent_twice_says_so(service: Service, published: Document) -> None:
    for route in routes(service):
        told = [resolved(published, each)["name"] for each in operation(published, route)["parameters"]]
        assert ("Idempotency-Key" in told) == route.idempotent
        assert ("If-None-Match" in told) == route.etag == ("304" in operation(published, route)["responses"])
        assert ("Last-Event-ID" in told) == is_stream(route)


async def test_a_new_call_is_in_the_document_by_itself() -> None:
    class Answer(msgspec.Struct):
        """``plate`` is known."""

        plate: str | None

    async def handler(call: object) -> object:
        """Do as told."""

    route = Route("GET", "/api/v1/driver/new/{id}", handler, "新的", answer=Answer)
    told = document((route,), version="1")
    assert told["paths"]["/api/v1/driver/new/{id}"]["get"]["tags"] == ["司机"]
    assert told["components"]["schemas"]["Answer"]["description"] == "`plate` is known."


async def test_who_has_the_document_need_not_load_it_again(service: Service) -> None:
    first = await service.client.get(PATH)
    again = await service.client.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
    assert await again.read() == b""
    other = await service.client.get(PATH, headers={"If-None-Match": '"another"'})
    assert other.status == 200


async def test_the_page_is_ours_alone(service: Service) -> None:
    kinds = {"/docs": "text/html", "/docs/docs.css": "text/css", "/docs/docs.js": "text/javascript"}
    for path, kind in kinds.items():
        response = await service.client.get(path)
        assert response.status == 200
        assert response.content_type == kind
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = await response.text()
        assert re.findall(r"https?://(?!www\.w3\.org)", text) == []
    assert (await service.client.get("/docs/docs.html")).status == 404


def test_the_page_has_no_inline_code_and_keeps_no_token() -> None:
    page = (FOLDER / "docs.html").read_text(encoding="utf-8")
    script = (FOLDER / "docs.js").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*src=)", page) == []
    assert re.findall(r"localStorage|sessionStorage|document\.cookie|innerHTML|eval\(|\.style\.", script) == []
