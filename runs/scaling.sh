#!/usr/bin/env bash
# What test-time compute buys, measured in the lab: one table per pool. Takes the models that
# runs/recipes.sh made, if they are there. What is done is not done again; `--quick` shows with tiny sizes that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
models=${MODELS:-out/recipes/models}
given=()
for name in start meta scalar; do
  [[ -f "$models/$name/model.safetensors" ]] && given+=("--$name" "$models/$name")
done
"$python" runs/scaling run "${given[@]}" "$@"
