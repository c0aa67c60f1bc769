"""docker-compose.yml: valid by the Compose specification, and true to the settings both processes read."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lycosa.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"


def services() -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return described


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Judge a file by the published schema of the Compose specification."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_follows_the_compose_specification() -> None:
    judged = check(COMPOSE)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_schema_refuses_what_compose_does_not_know(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text("utf-8").replace("    healthcheck:", "    health_check:"), "utf-8")
    assert check(broken).returncode != 0


def test_every_variable_of_the_python_server_is_one_of_its_settings() -> None:
    known = set()
    for name, field in Settings.model_fields.items():
        known.add(f"LYCOSA_{name.upper()}")
        known.update(str(choice) for choice in getattr(field.validation_alias, "choices", []))
    assert set(services()["server"]["environment"]) <= known


def test_every_variable_of_the_store_is_read_by_it() -> None:
    read = set(re.findall(r"[A-Z]+_[A-Z_]+", (ROOT / "lua/lycosa/settings.lua").read_text("utf-8")))
    assert set(services()["store"]["environment"]) <= read


def test_what_it_mounts_and_copies_exists() -> None:
    mounts = [v.split(":")[0] for v in services()["store"]["volumes"] if v.startswith("./")]
    copies = re.findall(
        r"^COPY (?!--)(.+) \S+$", (ROOT / "deploy/Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    named = mounts + [name for line in copies for name in line.split()]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_both_containers_are_given_the_same_password_and_port() -> None:
    store, server = services()["store"]["environment"], services()["server"]["environment"]
    assert store["LYCOSA_PASSWORD"] == server["LYCOSA_PASSWORD"]
    assert store["TARANTOOL_PORT"] == server["TARANTOOL_PORT"]
    assert server["TARANTOOL_HOST"] == "store"
