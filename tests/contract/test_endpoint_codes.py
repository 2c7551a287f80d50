"""docs/endpoint.md, executed: each code of the API text provoked as the page says, over real HTTP, in both styles."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import validate

from hmt_pass.client import PATH
from hmt_pass.codes import Code
from hmt_pass.endpoint.__main__ import _parser, main
from hmt_pass.endpoint.conventions import HttpStatus, http_status
from hmt_pass.endpoint.download import TIME_LIMIT_S
from hmt_pass.endpoint.limits import Limits
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES
from hmt_pass.image import MAX_BYTES

PAGE = (Path(__file__).parents[2] / "docs" / "endpoint.md").read_text("utf-8")
(ACCOUNTS,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
START, PICTURES, FUNCTIONS, REQUESTS, FAULTS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

# curl says the HTTP status last, whatever the page's command asks it to say.
SHOW_STATUS = """curl() { command curl "$@" -w '\\n%{http_code}\\n'; }\n"""
HEX = re.compile(r"[0-9a-f]{32}")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@dataclass(frozen=True)
class Example:
    """A command of the page and the answer under it."""

    command: str
    answer: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.answer["code"])


def examples() -> list[Example]:
    found = re.findall(r"((?:^[^#].*\n)+)((?:^# .*\n)+)", REQUESTS, re.MULTILINE)
    return [Example(command, json.loads(re.sub("^# ", "", answer, flags=re.MULTILINE))) for command, answer in found]


def rows(heading: str) -> list[list[str]]:
    """The cells of the page's table that begins with this row."""
    table = PAGE[PAGE.index(heading) :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's pictures and accounts."""
    folder = tmp_path_factory.mktemp("endpoint")
    (folder / "accounts.toml").write_text(ACCOUNTS, "utf-8")
    shell(PICTURES, folder)
    return folder


@pytest.fixture(scope="module", params=HttpStatus)
def style(request: pytest.FixtureRequest) -> HttpStatus:
    return HttpStatus(request.param)


@pytest.fixture(scope="module")
def endpoint(folder: Path, style: HttpStatus) -> Iterator[str]:
    """The address of an endpoint that was started as the page says, at a free port."""
    arguments = START.replace("--port 8080", f"--port 0 --http-status {style}").split()
    with subprocess.Popen([sys.executable, *arguments[1:]], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.fullmatch(r"endpoint ready (\S+)\n", process.stdout.readline())
        assert ready is not None, "the endpoint did not start: its log says why"
        yield ready[1]
        process.terminate()


@pytest.fixture(scope="module")
def described(endpoint: str) -> dict[str, Any]:
    """What /openapi.json says of the calls."""
    description: dict[str, Any] = requests.get(f"{endpoint}/openapi.json", timeout=20).json()
    return description


def shell(script: str, folder: Path) -> str:
    """What a script of the page prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path, "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def masked(answer: dict[str, Any]) -> Any:  # noqa: ANN401  JSON
    return json.loads(HEX.sub("...", json.dumps(answer)))


def run(script: str, endpoint: str, folder: Path) -> list[str]:
    """The lines that a script of the page prints when the functions of the page are there."""
    functions = SHOW_STATUS + FUNCTIONS.replace("http://127.0.0.1:8080", endpoint)
    printed = shell(functions + script.replace("8081", str(free_port())), folder)
    return [line for line in printed.splitlines() if line]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.code)
def test_a_request_of_the_page_gets_the_answer_under_it(
    endpoint: str, folder: Path, style: HttpStatus, described: dict[str, Any], example: Example
) -> None:
    *_, printed, status = run(example.command, endpoint, folder)
    answer = json.loads(printed)
    assert example.answer == masked(answer)
    assert http_status(style, example.code) == int(status)
    validate(answer, schema(described, status))


def schema(described: dict[str, Any], status: str) -> dict[str, Any]:
    """The JSON Schema of an answer with this HTTP status."""
    response = described["paths"][PATH]["post"]["responses"][status]
    return {**response["content"]["application/json"]["schema"], "components": described["components"]}


def test_the_page_s_faults_are_faults(endpoint: str, folder: Path) -> None:
    *statuses, shown, _, cleared, _ = run(FAULTS, endpoint, folder)
    assert ({"200"}, FAULTS.count("fault '")) == (set(statuses), len(statuses))
    effects = {"code", "latency_s", "drop", "hang", "garbage"}
    assert (effects, set()) == (set(json.loads(shown)["faults"]), set(json.loads(cleared)["faults"]))


@pytest.mark.parametrize("extension", ["verdict", "boxes"])
def test_the_real_engine_fills_the_extension(endpoint: str, folder: Path, extension: str) -> None:
    answer, _ = run(f"call demo -F file=@permit.jpg -F extension={extension}", endpoint, folder)
    data = json.loads(answer)["data"]
    said, fields = data.pop("extension"), set(data) - {"image_id"}
    assert ("accept", fields) == (said["verdict"], set(said["confidence"]))
    assert (fields if extension == "boxes" else set()) == set(said.get("boxes", ()))


def test_the_page_has_each_code_of_the_text_once_and_in_its_order() -> None:
    assert [code.value for code in Code] == [example.code for example in examples()]


def test_the_page_s_http_statuses_are_those_of_the_older_style() -> None:
    table = rows("| HTTP status | codes |")
    shown = {code: int(status) for status, codes in table for code in re.findall(r"\d{4}", codes)}
    assert {code.value: http_status(HttpStatus.V1, code.value) for code in Code} == shown


def test_the_accounts_of_the_page_are_those_that_its_requests_call() -> None:
    accounts = {account["id"] for account in tomllib.loads(ACCOUNTS)["account"]}
    assert accounts == set(re.findall(r"\bcall (\w+)", REQUESTS)) - {"nobody"}


def test_the_page_s_switches_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    offered = re.findall(r"^  (--[a-z-]+(?: \{.*\})?)", capsys.readouterr().out, re.MULTILINE)
    assert [f"`{switch}`" for switch in offered] == [row[0] for row in rows("| switch | default |")]


def test_the_page_s_defaults_are_those_of_the_command() -> None:
    defaults = vars(_parser().parse_args(["--port", "0"]))
    shown = {row[0].strip("`").partition(" ")[0][2:].replace("-", "_"): row[1] for row in rows("| switch | default |")}
    cores = os.cpu_count() or 1
    expected = defaults | {"port": None, "max_waiting": f"{defaults['max_waiting'] // cores} for each core"}
    assert {name: default_cell(value) for name, value in expected.items()} == shown


def default_cell(value: object) -> str:
    if value is None or value is False:
        return "" if value is None else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_page_s_limits_are_those_of_the_endpoint() -> None:
    limits = Limits()
    shown = " ".join(cell for row in rows("| what | bound |") for cell in row[1:2])
    mib = 1024 * 1024
    expected = [
        f"{limits.held_bytes // mib} MiB {MAX_BODY_BYTES // mib} MiB; {limits.body_s:g} s",
        f"some {limits.head_bytes // 1024} KiB; {limits.head_s:g} s {limits.stall_s:g} s {limits.connections}",
        f"{MAX_BYTES // mib} MiB; {TIME_LIMIT_S:g} s;",
        f"{limits.stop_s} s",
    ]
    assert [] == [bound for bound in expected if bound not in shown]
