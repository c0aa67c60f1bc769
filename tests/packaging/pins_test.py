"""The compiled requirements: complete, hashed, free of addresses, and true to pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ("runtime.txt", "dev.txt", "tools.txt", "offline-model.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def text(name: str) -> str:
    return (ROOT / "requirements" / name).read_text("utf-8")


def pins(name: str) -> dict[str, str]:
    """Package name to pinned version, checked to carry at least one hash each."""
    found: dict[str, str] = {}
    logical = text(name).replace("\\\n", " ")
    for line in logical.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)==(\S+)( ; .*?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+$", line)
        assert match, f"{name}: not a pin with hashes: {line[:120]}"
        found[canonicalize_name(match[1])] = match[2]
    return found


def declared(*extras: str) -> list[Requirement]:
    lines = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        lines += PROJECT["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", COMPILED)
def test_every_line_is_a_pin_with_hashes_and_no_address(name: str) -> None:
    assert pins(name)
    assert "://" not in text(name)
    assert not re.search(r"^\s*(-i|--\w*index|--find-links|--trusted-host)", text(name), re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "extras"), [("runtime.txt", ()), ("dev.txt", ("mcp", "langchain", "redis", "dev"))]
)
def test_the_pins_satisfy_what_the_project_declares(name: str, extras: tuple[str, ...]) -> None:
    pinned = pins(name)
    build = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
    for requirement in declared(*extras) + build:
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}: run make pins"
        assert requirement.specifier.contains(version), f"{requirement} but {name} pins {version}"


def test_development_installs_the_versions_that_run() -> None:
    runtime, dev = pins("runtime.txt"), pins("dev.txt")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_the_packages_the_project_is_built_on_are_declared() -> None:
    named = {
        canonicalize_name(requirement.name) for requirement in declared("mcp", "langchain", "redis", "dev")
    }
    assert named >= {
        "asynctnt", "fastapi", "fastmcp", "httpx", "langchain", "pydantic", "pytest", "pytest-benchmark",
        "tarantool", "uvicorn",
    }  # fmt: skip
