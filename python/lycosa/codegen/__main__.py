"""`python -m lycosa.codegen [--check]`: write, or compare, everything generated from the contract."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from lycosa.codegen import markdown, python
from lycosa.codegen.boot import describe

_ROOT = Path(__file__).resolve().parents[3]


def _formatted(text: str) -> str:
    """As ruff would have it, so that `make lint` has nothing to say."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", "procedures.py", "-"],
        input=text, capture_output=True, text=True, check=True, cwd=_ROOT,
    )  # fmt: skip
    return done.stdout


def generated() -> dict[Path, str]:
    """Path -> text of every generated file."""
    contract = describe(_ROOT / "instance.lua", os.environ.get("TARANTOOL") or "tarantool")
    files = {
        _ROOT / "python/lycosa/contract.json": json.dumps(contract, indent=1, ensure_ascii=False) + "\n",
        _ROOT / "python/lycosa/procedures.py": _formatted(python.module(contract)),
    }
    for name, text in markdown.pages(contract).items():
        files[_ROOT / "docs/reference" / name] = text
    return files


def main() -> int:
    """Exit status 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m lycosa.codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    files = generated()
    stale = [path for path in (_ROOT / "docs/reference").glob("*.md") if path not in files]
    differing = [
        path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if check:
        for path in [*differing, *stale]:
            print(
                f"{path.relative_to(_ROOT)} differs from the server's contract; run `make contract`",
                file=sys.stderr,
            )
        return 1 if differing or stale else 0
    for path in differing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path.relative_to(_ROOT)}")
    for path in stale:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
