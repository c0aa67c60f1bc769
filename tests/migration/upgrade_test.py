"""The schema: upgraded equals fresh, newer and edited are refused, a failed migration leaves nothing (D7)."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, TARANTOOL, Store

LUA = ROOT / "lua"
MIGRATIONS = sorted(path.stem for path in (LUA / "lycosa/schema").glob("0*.lua"))


def _ledger(data: Path, command: str, *argument: str, lua: Path = LUA) -> Any:
    data.mkdir(exist_ok=True)
    done = subprocess.run(
        [TARANTOOL, str(ROOT / "tests/migration/ledger.lua"), str(lua), str(data), command, *argument],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return json.loads(done.stdout) if done.stdout else None


def test_every_migration_is_listed_in_order() -> None:
    text = (LUA / "lycosa/schema/init.lua").read_text(encoding="utf-8")
    assert re.findall(r"^    '(\d{4}_\w+)',$", text, re.M) == MIGRATIONS


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS)))
def test_upgraded_equals_fresh_and_keeps_data(tmp_path: Path, number: int) -> None:
    _ledger(tmp_path / "fresh", "apply")
    _ledger(tmp_path / "old", "upto", str(number))
    upgraded = _ledger(tmp_path / "old", "apply")
    assert upgraded == {"applied": len(MIGRATIONS) - number, "version": len(MIGRATIONS)}
    fresh, old = _ledger(tmp_path / "fresh", "dump"), _ledger(tmp_path / "old", "dump")
    assert old["customers"] == 1
    assert old["spaces"] == fresh["spaces"]


def test_entries_of_the_cache_are_carried_over(tmp_path: Path) -> None:
    """With their tags, their age and what they weigh."""
    _ledger(tmp_path / "data", "cached")
    store = Store(tmp_path / "data")
    store.start()
    try:
        found = store.console(
            "local function call(name, args) args.tenant = 'acme' return lycosa.cache[name](args) end "
            "local pool, sum, oldest = require('lycosa.cache.pool'), 0, {} "
            "for _, row in box.space.cache_entry.index.age:pairs() do "
            "sum = sum + pool.weight(row) table.insert(oldest, row.key) end "
            "local answers = {table.concat(oldest, ' '), call('get', {key = 'ключ'}).value, "
            "call('figures', {}).bytes == sum, call('set', {key = 'new', value = 'v', ttl = 5}).created_at > 0, "
            "call('invalidate', {tag = 't1'}).deleted, call('get', {key = 'a'}).value, "
            "call('figures', {}).entries} return require('json').encode(answers)"
        )
    finally:
        store.stop()
    answered = found.split("- '", 1)[1].rsplit("'", 1)[0]
    assert json.loads(answered) == ["b a ключ", "v3", True, True, 2, "v2", 2]


def test_applying_twice_does_nothing(tmp_path: Path) -> None:
    _ledger(tmp_path / "data", "apply")
    assert _ledger(tmp_path / "data", "apply")["applied"] == 0


def test_every_key_of_a_tenant_space_holds_the_tenant(tmp_path: Path) -> None:
    _ledger(tmp_path / "data", "apply")
    spaces = _ledger(tmp_path / "data", "dump")["spaces"]
    assert len(spaces) > 4
    for name, space in spaces.items():
        if name == "schema_ledger":
            continue
        assert [field["name"] for field in space["format"][:2]] == ["tenant", "bucket_id"], name
        for index, (_, _, parts) in space["indexes"].items():
            fields = [part["field"] if isinstance(part, dict) else part[0] for part in parts]
            assert 0 in fields, f"{name}.{index}"


def _start(data: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LYCOSA_DATA": str(data), "TARANTOOL_HOST": str(data / "s.sock")}
    return subprocess.run(
        [TARANTOOL, str(ROOT / "instance.lua")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_a_newer_data_directory_is_refused_in_one_line(tmp_path: Path) -> None:
    _ledger(tmp_path / "data", "future")
    done = _start(tmp_path / "data")
    lines = [line for line in done.stderr.splitlines() if line.startswith("lycosa: ")]
    assert done.returncode == 1
    assert len(lines) == 1
    assert "SCHEMA_NEWER" in lines[0]
    assert "start a newer Lycosa" in lines[0]


def test_an_edited_migration_is_refused(tmp_path: Path) -> None:
    _ledger(tmp_path / "data", "edited")
    done = _start(tmp_path / "data")
    assert done.returncode == 1
    assert "SCHEMA_CHANGED" in done.stderr


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    lua = tmp_path / "lua"
    shutil.copytree(LUA, lua)
    (lua / "lycosa/schema/9999_broken.lua").write_text(
        f"return {{id = {len(MIGRATIONS) + 1}, name = 'broken', up = function()\n"
        "box.schema.space.create('half_made')\nerror('died here')\nend}\n"
    )
    ledger = lua / "lycosa/schema/init.lua"
    text = ledger.read_text(encoding="utf-8")
    last = f"    '{MIGRATIONS[-1]}',\n"
    ledger.write_text(text.replace(last, last + "    '9999_broken',\n"))
    found = _ledger(tmp_path / "data", "broken", lua=lua)
    assert found["ok"] is False
    assert "died here" in found["problem"]
    assert found["version"] == len(MIGRATIONS)
    assert found["left"] is False


async def test_functions_and_grants_are_reconciled(own_server: Store) -> None:
    """A function that is no longer declared disappears at the next start."""
    script = (
        "box.schema.func.create('lycosa.gone.away', {setuid = true}) "
        "box.schema.role.grant('lycosa_admin', 'execute', 'function', 'lycosa.customer.get')"
    )
    own_server.console(script)
    own_server.stop()
    own_server.start()
    answer = own_server.console(
        "return box.schema.func.exists('lycosa.gone.away'), box.schema.func.exists('lycosa.customer.get'), "
        "box.space._priv:count({box.space._user.index.name:get('lycosa_admin').id, 'function'})",
    )
    assert re.findall(r"^- (\w+)$", answer, re.M) == ["false", "true", "0"]
