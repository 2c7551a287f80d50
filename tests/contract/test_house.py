"""What the project's own files promise to each other: commands, settings, links, versions."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hmt_pass.codes import Code
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split())
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
# What .env.example explains although the worker's Settings do not read it.
OTHER_READERS = {
    "AWS_ACCESS_KEY_ID": "the S3 client",
    "AWS_ENDPOINT_URL_S3": "the S3 client",
    "AWS_REGION": "the S3 client",
    "AWS_SECRET_ACCESS_KEY": "the S3 client",
    "FLOWER_BASIC_AUTH": "Flower",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "OpenTelemetry",
    "OTEL_SERVICE_NAME": "OpenTelemetry",
    "REDIS_PASSWORD": "docker-compose.yml",
}


def settings() -> set[str]:
    fields = Settings.model_fields.items()
    return {str(field.validation_alias or f"HMT_PASS_{name.upper()}") for name, field in fields}


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_the_readme_is_read_in_one_sitting() -> None:
    assert 0 < len((ROOT / "README.md").read_text().splitlines()) < 120


def test_every_make_target_says_what_it_does() -> None:
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    explained = [line.split(maxsplit=2)[1] for line in answer.stdout.splitlines()]
    assert TARGETS == set(explained)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_names_only_make_targets_that_exist(page: Path) -> None:
    named = set(re.findall(r"`make ([a-z]+)`|^\$? ?make ([a-z]+)", page.read_text(), re.MULTILINE))
    assert set() == {quoted or typed for quoted, typed in named} - TARGETS


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_links_only_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [] == [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_page_links_only_to_headings_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text())
    assert [] == [
        (name, heading) for name, heading in links if heading not in headings(page.parent / name if name else page)
    ]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_the_runbook_has_every_business_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("## Codes and what to type")[2].partition("\n## ")[0]
    named = [code for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(", ")]
    assert sorted(code.value for code in Code) == sorted(named)


def test_the_example_environment_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert settings() | set(OTHER_READERS) == named


def test_the_changelog_tells_of_the_version_that_is_built() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


SKIPPING = """
import pytest

def test_that_runs():
    pass

@pytest.mark.skip(reason="not today")
def test_that_is_marked():
    pass

def test_that_gives_up():
    pytest.skip("no engine here")
"""


def test_a_skipped_test_fails_where_skips_are_forbidden(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_skipping.py").write_text(SKIPPING)
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        env={
            **os.environ,
            "HMT_PASS_NO_SKIPS": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed, 1 error in" in answer.stdout
