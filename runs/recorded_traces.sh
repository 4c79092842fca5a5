#!/usr/bin/env bash
# Read RM-R1's released judge outputs, if they are there, and hold every verdict against the authors' files.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-../shared/data/rm-r1-results}
if [ ! -d "$data" ]; then
  echo "no recorded traces at $data: nothing to check"
  exit 0
fi
"${PYTHON:-.venv/bin/python}" runs/recorded_traces.py "$data"
