#!/usr/bin/env bash
# Every training recipe, measured in the lab: the figures of docs/recipes.md. Two arms side by side, one thread each;
# `--minutes N` starts no arm after so long (300 by default). What is done is not done again, what was stopped goes on.
# `runs/recipes.sh --quick` shows with tiny sizes that everything runs, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export HF_HUB_OFFLINE=1
"$python" runs/recipes run "$@"
