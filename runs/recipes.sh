#!/usr/bin/env bash
# Every training recipe, measured in the lab: the figures of docs/recipes.md. Two arms side by side, one thread each;
# about 5 hours in all, an arm under 40 minutes. What is done is not done again, what was stopped goes on.
# `runs/recipes.sh --quick` shows in under 15 minutes that everything runs (and nothing else).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export HF_HUB_OFFLINE=1
"$python" runs/recipes run "$@"
