"""The endpoint against its own OpenAPI description: schemathesis makes calls out of it, over real HTTP."""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from endpoints import API_ID, API_SECRET, Endpoint, photo, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis import Case, CheckContext, GenerationMode, Response, checks

from hmt_pass import signing
from hmt_pass.codes import Code
from hmt_pass.endpoint import openapi
from hmt_pass.endpoint.app import PATH
from hmt_pass.endpoint.conventions import Conventions, HttpStatus, Shape, http_status
from hmt_pass.endpoint.parameters import MAX_TEXT_BYTES, MULTIPART, SOURCES, URLENCODED

STYLES = [Conventions(shape=shape, http_status=style) for shape, style in product(Shape, HttpStatus)]
NAMES = [f"{style.shape}-{style.http_status}" for style in STYLES]
SEEDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),  # what schemathesis draws is large and slow by its nature
)
# All checks of schemathesis are made but these:
ANOTHER_API_S = [
    checks.unsupported_method,  # another method is answered with code 1012, not with HTTP 405
    checks.allow_header_conformance,  # the same
    checks.missing_required_header,  # no header is required
    checks.ignored_auth,  # the signature is three parameters, which OpenAPI does not know as a kind of authentication
    checks.use_after_free,  # nothing is created under a path of its own
    checks.ensure_resource_availability,  # the same
    checks.object_level_authorization,  # the same
]
NOT_OF_A_CALL = [
    *ANOTHER_API_S,
    # That a call needs a signature and an image, and either in the query string or in the body, no JSON schema can say;
    # and a wrong one is answered with HTTP 200 and a business code.
    checks.positive_data_acceptance,
    checks.negative_data_rejection,
]


class Described(NamedTuple):
    """A running endpoint, its conventions and its description as schemathesis loads it."""

    endpoint: Endpoint
    style: Conventions
    schema: Any
    session: requests.Session


@pytest.fixture(scope="module", params=STYLES, ids=NAMES)
def described(request: pytest.FixtureRequest) -> Iterator[Described]:
    with running(conventions=request.param) as endpoint, requests.Session() as session:
        schema = schemathesis.openapi.from_url(endpoint.url + "/openapi.json")
        yield Described(endpoint, request.param, schema, session)


def document(style: Conventions, *, with_faults: bool = False) -> dict[str, Any]:
    return openapi.document(style, with_faults=with_faults)


@pytest.mark.parametrize("with_faults", [False, True])
@pytest.mark.parametrize("style", STYLES, ids=NAMES)
def test_the_description_is_valid_openapi(style: Conventions, with_faults: bool) -> None:
    validate(document(style, with_faults=with_faults))


@pytest.mark.parametrize("style", STYLES, ids=NAMES)
def test_every_code_is_described_under_its_http_status_with_an_example_that_fits(style: Conventions) -> None:
    described = document(style)
    found = {}
    for status, response in described["paths"][PATH]["post"]["responses"].items():
        content = response["content"]["application/json"]
        validator = Draft202012Validator({**content["schema"], "components": described["components"]})
        for code, example in content["examples"].items():
            validator.validate(example["value"])
            found[code] = (status, example["value"]["code"], example["value"]["msg"])
    assert found == {
        code.value: (str(http_status(style.http_status, code.value)), code.value, code.message) for code in Code
    }


def test_every_parameter_is_described_for_the_query_string_and_both_bodies() -> None:
    call = document(STYLES[0])["paths"][PATH]["post"]
    content = call["requestBody"]["content"]
    texts = set(MAX_TEXT_BYTES)
    assert {parameter["name"] for parameter in call["parameters"]} == texts
    assert set(content[URLENCODED]["schema"]["properties"]) == texts
    assert set(content[MULTIPART]["schema"]["properties"]) == texts | {"file"}


def test_the_switch_for_faults_is_described_only_where_it_is_served() -> None:
    served = set(document(STYLES[0], with_faults=True)["paths"])
    assert served - set(document(STYLES[0])["paths"]) == {"/_faults"}


@st.composite
def calls(draw: st.DrawFn, described: Described, mode: GenerationMode) -> Case:
    """A call as schemathesis makes it, three of four with a signature that holds, half of them with a photo.

    An address leads nowhere: a test fetches nothing from other people's servers.
    """
    case: Case = draw(described.schema[PATH]["POST"].as_strategy(generation_mode=mode))
    query = dict(case.query or {})
    body = dict(case.body) if isinstance(case.body, dict) else None
    if draw(st.integers(0, 3)):
        timestamp = signing.timestamp()
        signed = {"api_id": API_ID, "timestamp": timestamp, "sign": signing.sign(API_ID, API_SECRET, timestamp)}
        query = {name: value for name, value in query.items() if name not in (body or {})} | signed
        body = None if body is None else {name: value for name, value in body.items() if name not in signed}
        given = draw(st.sampled_from(["", "", "file", "image_base64"]))
        if body is not None and given and case.media_type in {MULTIPART, URLENCODED}:
            _put_photo(query, body, "file" if given == "file" and case.media_type == MULTIPART else "image_base64")
    for place in (query, body or {}):
        if "url" in place:
            place["url"] = "http://127.0.0.1:1/"
    case.query = query
    if body is not None:
        case.body = body
    return case


def _put_photo(query: dict[str, Any], body: dict[str, Any], source: str) -> None:
    for name in {*SOURCES, "hmt_flag", "sequence_id", "extension"} - {source}:
        if name in SOURCES:
            body.pop(name, None)
        query.pop(name, None)
    query.pop(source, None)
    body[source] = photo() if source == "file" else base64.b64encode(photo()).decode()


def test_calls_made_from_the_description_are_answered_as_it_says(described: Described) -> None:
    codes: Counter[str] = Counter()

    def is_an_answer(ctx: CheckContext, response: Response, case: Case) -> None:  # noqa: ARG001  as a check is called
        body = response.json()
        codes[body["code"]] += 1
        assert body["code"] != Code.SERVER_ERROR.value
        assert (body["charge"] == 1) == (body["code"] == Code.OK.value)
        assert re.fullmatch("TID[0-9a-f]{32}", body["request_id"])
        assert http_status(described.style.http_status, body["code"]) == response.status_code

    for mode in GenerationMode:

        @settings(SEEDED, max_examples=25)
        @given(calls(described, mode))
        def call(case: Case) -> None:
            case.call_and_validate(
                session=described.session, additional_checks=[is_an_answer], excluded_checks=NOT_OF_A_CALL
            )

        call()
    assert {"0000", "1002"} <= codes.keys(), codes


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json"])
def test_what_else_is_served_is_as_described(described: Described, path: str) -> None:
    @settings(SEEDED, max_examples=5)
    @given(described.schema[path]["GET"].as_strategy())
    def call(case: Case) -> None:
        case.call_and_validate(session=described.session, excluded_checks=ANOTHER_API_S)

    call()


def test_the_switch_takes_what_is_described_and_refuses_what_is_not() -> None:
    with running(faults=True) as endpoint, requests.Session() as session:
        schema = schemathesis.openapi.from_url(endpoint.url + "/openapi.json")
        for method, mode in [("POST", GenerationMode.POSITIVE), ("POST", GenerationMode.NEGATIVE), ("GET", None)]:

            @settings(SEEDED, max_examples=40)
            @given(schema["/_faults"][method].as_strategy(generation_mode=mode or GenerationMode.POSITIVE))
            def call(case: Case) -> None:
                case.call_and_validate(session=session, excluded_checks=ANOTHER_API_S)

            call()
        assert endpoint.faults.calls == 0


@pytest.mark.parametrize("style", STYLES, ids=NAMES)
def test_forced_codes_and_garbage_are_described_too(style: Conventions) -> None:
    described = document(style, with_faults=True)
    responses = described["paths"][PATH]["post"]["responses"]
    with running(conventions=style, faults=True) as endpoint:
        for order in [{"code": code.value} for code in Code if code is not Code.OK] + [
            {"code": "4711"},
            {"garbage": "gateway"},
        ]:
            endpoint.fault(**order)
            response = endpoint.request(files={"file": ("a.jpg", photo())})
            content = responses[str(response.status_code)]["content"][response.headers["Content-Type"]]
            schema = {**content["schema"], "components": described["components"]}
            Draft202012Validator(schema).validate(response.json())
