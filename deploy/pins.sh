#!/usr/bin/env bash
# Compile the pinned requirements, with hashes and without any index address, from pyproject.toml and requirements/*.in.
# UV_NATIVE_TLS=1 is set because the machine's own certificates may include a company's.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_NATIVE_TLS=1

.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/tools.txt

compile() { # OUTPUT ARGUMENTS...
    local output=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command 'make pins' --output-file "requirements/$output" ${UPGRADE:+--upgrade} "$@"
}

compile runtime.txt pyproject.toml requirements/build.in --extra mcp --extra langchain
compile dev.txt pyproject.toml requirements/build.in --all-extras --constraint requirements/runtime.txt
compile tools.txt requirements/tools.in
compile offline-model.txt --no-deps requirements/offline-model.in
