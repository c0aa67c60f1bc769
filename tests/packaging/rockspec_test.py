"""The rockspec: lists every Lua module, and Tarantool's own rocks builds it without a network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROCKSPEC = "rockspecs/lycosa-scm-1.rockspec"


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # An address that leads nowhere: a build that asked the network would fail.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env=os.environ | nowhere,
    )  # fmt: skip


def test_it_names_every_lua_file() -> None:
    checked = run(sys.executable, "deploy/rockspec.py", "--check", cwd=ROOT)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(shutil.which("tarantoolctl") is None, reason="Tarantool 3 brings no tarantoolctl")
def test_rocks_builds_it_and_tarantool_loads_it_from_there(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "lua", tmp_path / "lua")
    (tmp_path / "rockspecs").mkdir()
    shutil.copy(ROOT / ROCKSPEC, tmp_path / ROCKSPEC)
    made = run("tarantoolctl", "rocks", "make", ROCKSPEC, cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr

    shutil.rmtree(tmp_path / "lua")
    tree = tmp_path / ".rocks/share/tarantool"
    installed = {path.relative_to(tree).as_posix() for path in (tree / "lycosa").rglob("*.lua")}
    assert installed == {path.relative_to(ROOT / "lua").as_posix() for path in (ROOT / "lua").rglob("*.lua")}

    script = tmp_path / "load.lua"
    script.write_text(
        "box.cfg{log = 'tarantool.log', feedback_enabled = false}\n"
        "require('lycosa').start{testing = true, user = 'lycosa', password = 'secret', retention_days = 0}\n"
        "print(package.search and package.search('lycosa') or package.searchpath('lycosa', package.path))\n"
        "print('health ' .. type(lycosa.system.health{}))\n"
        "os.exit(0)\n",
        "utf-8",
    )
    loaded = run(os.environ.get("TARANTOOL", "tarantool"), "load.lua", cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    assert ".rocks/share/tarantool/lycosa/init.lua" in loaded.stdout
    assert "health table" in loaded.stdout
