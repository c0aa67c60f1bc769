"""Write rockspecs/lycosa-scm-1.rockspec: every Lua module under lua/, by name.

python3 deploy/rockspec.py            write it
python3 deploy/rockspec.py --check    change nothing; exit with 1 when it differs from the files
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROCKSPEC = ROOT / "rockspecs" / "lycosa-scm-1.rockspec"

TEMPLATE = """\
-- Written by `make rockspec`. Builds without any network: tarantoolctl rocks make rockspecs/lycosa-scm-1.rockspec
rockspec_format = '3.0'
package = 'lycosa'
version = 'scm-1'
source = {{ url = 'git+file://.' }}
description = {{
    summary = 'Customer intelligence that lives in Tarantool: stored procedures beside the data',
    license = 'Apache-2.0',
}}
dependencies = {{ 'lua >= 5.1' }}
build = {{
    type = 'builtin',
    modules = {{
{modules}
    }},
}}
"""


def modules() -> dict[str, str]:
    """Module name to path from the project's root, of every Lua file under lua/."""
    found = {}
    for path in sorted((ROOT / "lua").rglob("*.lua")):
        parts = path.relative_to(ROOT / "lua").with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "init" else parts)
        found[name] = path.relative_to(ROOT).as_posix()
    return found


def rockspec() -> str:
    """The rockspec's text for the files as they are."""
    lines = (f"        ['{name}'] = '{path}'," for name, path in modules().items())
    return TEMPLATE.format(modules="\n".join(lines))


def main() -> int:
    """Write or check the rockspec, as the arguments say."""
    wanted = rockspec()
    if sys.argv[1:] == ["--check"]:
        if ROCKSPEC.exists() and ROCKSPEC.read_text("utf-8") == wanted:
            return 0
        print(
            f"{ROCKSPEC.relative_to(ROOT)} differs from the files under lua/: run make rockspec",
            file=sys.stderr,
        )
        return 1
    ROCKSPEC.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
