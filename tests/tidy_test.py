"""The house rules that no linter knows."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python/lycosa"
LUA = ROOT / "lua/lycosa"

GENERATED = {"procedures.py"}
MOST_LINES = 400
LONGEST_FUNCTION = 60
VAGUE_NAMES = {"util", "utils", "common", "helper", "helpers", "base", "manager", "misc"}

SURFACES = ("rest", "cli", "mcp", "langchain")
# The only files of surfaces that build a client; cli/up.py also starts the server that rest makes.
COMPOSITION_ROOTS = {"rest/app.py", "cli/session.py", "cli/up.py", "langchain/connection.py"}
# Where one surface opens the door to another: REST mounts MCP, commands start either.
DOORS = {"rest/app.py": {"mcp"}, "cli/up.py": {"rest"}, "cli/mcp.py": {"mcp"}}


def _python_files() -> list[Path]:
    roots = [PACKAGE, ROOT / "tests", ROOT / "benchmarks", ROOT / "data", ROOT / "deploy", ROOT / "examples"]
    return sorted(path for root in roots for path in root.rglob("*.py"))


def _lua_files() -> list[Path]:
    return sorted([*LUA.rglob("*.lua"), *(ROOT / "tests/lua").glob("*.lua"), ROOT / "instance.lua"])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(_tree(path)))


def _imports(path: Path) -> Iterator[str]:
    """Full names of modules of ours that a file imports."""
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("lycosa"))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("lycosa"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _code(path: Path) -> str:
    """Lua text without comments."""
    return re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))


def test_no_file_is_longer_than_its_room() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in [*_python_files(), *_lua_files(), *ROOT.glob("tests/**/*.lua")]
        if path.name not in GENERATED
        and (count := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = [path for path in [*_python_files(), *_lua_files()] if VAGUE_NAMES & set(path.stem.split("_"))]
    assert vague == []


def test_no_python_function_is_too_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in _python_files()
        if path.name not in GENERATED
        for node in _nodes(path)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_no_lua_function_is_too_long() -> None:
    """Functions at the top level of a file begin and end in column one."""
    long = []
    for path in LUA.rglob("*.lua"):
        begun: int | None = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.match(r"(local )?function |[\w.]+ = function|local [\w]+ = function", line):
                begun = number
            elif line.startswith("end") and begun is not None:
                if number - begun >= LONGEST_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}:{begun}")
                begun = None
    assert long == []


def test_public_python_has_docstrings() -> None:
    missing = []
    for path in PACKAGE.rglob("*.py"):
        if path.name in GENERATED:
            continue
        for node in _nodes(path):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if node.name.startswith("_") or ast.get_docstring(node):
                continue
            if not _is_public(path, node):
                continue
            missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert missing == []


def _is_public(path: Path, wanted: ast.AST) -> bool:
    """Whether a definition stands at module level or in a public class, not inside a function."""
    module = _tree(path)
    for node in module.body:
        if node is wanted:
            return True
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and wanted in node.body:
            return True
    return False


def test_public_lua_functions_are_annotated() -> None:
    """A function with parameters that a module exports says what they are (domains' `run` functions take `args`)."""
    missing = []
    for path in LUA.rglob("*.lua"):
        if path.parent.name in ("api", "schema"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            found = re.match(r"function (\w+)[.:](\w+)\((\S.*)\)", line)
            if found and number and not lines[number - 1].startswith("--"):
                missing.append(f"{path.relative_to(ROOT)}:{number + 1} {found[2]}")
    assert missing == []


def _may_not_import(name: str) -> set[str]:
    """What a file of the package, by its layer, must not know of."""
    layer = name.split("/")[0]
    if layer in SURFACES:
        others = set(SURFACES) - {layer} - DOORS.get(name, set())
        return others if name in COMPOSITION_ROOTS else others | {"client", "procedures"}
    return set(SURFACES) | {"analysis": {"client", "procedures"}, "services": {"client"}}.get(layer, set())


def test_layers_look_downwards_only() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        for module in _imports(path):
            if module.removeprefix("lycosa.").split(".")[0] in _may_not_import(name):
                wrong.append(f"{name} imports {module}")
    assert wrong == []


def test_the_domain_side_of_python_knows_no_framework() -> None:
    """Services and the analysis import neither the web framework nor the driver (A12)."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for layer in ("services", "analysis")
        for path in (PACKAGE / layer).rglob("*.py")
        for node in _nodes(path)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.split(".")[0] in ("fastapi", "starlette", "asynctnt", "tarantool", "typer", "uvicorn")
    ]
    assert wrong == []


def test_procedure_names_stand_only_in_generated_code() -> None:
    allowed = {"client.py", "procedures.py", "codegen/boot.py"}
    domains = "|".join(sorted(path.stem for path in (LUA / "api").glob("*.lua")))
    name = re.compile(rf"^lycosa\.({domains})\.\w+$")
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if str(path.relative_to(PACKAGE)) not in allowed
        for node in _nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and name.match(node.value)
    ]
    assert wrong == []


def test_python_never_touches_spaces() -> None:
    """No eval, select, insert and the like on a connection: only procedures (D9)."""
    verbs = {"eval", "select", "insert", "replace", "update", "upsert", "delete", "execute"}
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in _nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in verbs
        and "connection" in ast.unparse(node.func.value).lower()
    ]
    assert wrong == []


def _owner(path: Path) -> str:
    relative = path.relative_to(LUA)
    return relative.parts[0].removesuffix(".lua")


def test_a_space_is_touched_only_by_its_owner() -> None:
    wrong = []
    for path in LUA.rglob("*.lua"):
        owner = _owner(path)
        if owner == "schema":
            continue
        for space in re.findall(r"box\.space\.([a-z]\w*)", _code(path)):
            if space.split("_")[0] != owner:
                wrong.append(f"{path.relative_to(ROOT)} touches {space}")
    assert wrong == []


def test_only_the_clock_reads_time() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in LUA.rglob("*.lua")
        if path.name != "clock.lua"
        and re.search(r"require\('clock'\)|os\.time|os\.clock|fiber\.time|fiber\.clock|realtime", _code(path))
    ]
    assert wrong == []


def test_domains_know_no_other_domain_and_the_core_none() -> None:
    allowed = {"system": {"schema"}, "lookup": {"cache", "quota", "request", "document"}}
    wrong = []
    for path in LUA.rglob("*.lua"):
        owner = _owner(path)
        if owner in ("init", "api", "schema", "console", "settings"):
            continue
        for required in re.findall(r"require\('lycosa\.(\w+)", _code(path)):
            if required not in ({"core", owner} | allowed.get(owner, set())):
                wrong.append(f"{path.relative_to(ROOT)} requires {required}")
    assert wrong == []


def test_the_surface_is_declarations_only() -> None:
    """api/*.lua hold no statements but locals and one returned list."""
    for path in (LUA / "api").glob("*.lua"):
        code = re.sub(r"'[^'\n]*'", "''", _code(path))
        assert not re.search(r"\b(for|while|if|repeat)\b", code), path
        assert code.rstrip().endswith("}"), path


def test_every_declared_error_is_reached_by_a_test() -> None:
    catalogue = re.findall(r"^    ([A-Z][A-Z_]+) = \{", (LUA / "core/errors_catalogue.lua").read_text(), re.M)
    assert len(catalogue) > 10
    texts = [
        path.read_text(encoding="utf-8")
        for path in [*ROOT.glob("tests/**/*.py"), *ROOT.glob("tests/**/*.lua")]
        if path != Path(__file__)
    ]
    unreached = [code for code in catalogue if not any(_names(code, text) for text in texts)]
    assert unreached == []


def _names(code: str, text: str) -> bool:
    class_name = "".join(part.capitalize() for part in code.split("_"))
    return code in text or f"raises({class_name}" in text


@pytest.mark.parametrize("kind", ["py", "lua", "md", "toml", "yml", "sh", "txt", "rockspec"])
def test_no_registry_address_and_no_path_of_a_machine(kind: str) -> None:
    words = [
        "pypi" + ".org",
        "pythonhosted" + ".org",
        "registry.npmjs" + ".org",
        "deb.debian" + ".org",
        "/wo" + "rk/",
    ]
    skipped = {".venv", ".git", "var", "node_modules"}
    wrong = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in ROOT.rglob(f"*.{kind}")
        if not skipped & set(path.relative_to(ROOT).parts)
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert wrong == []
