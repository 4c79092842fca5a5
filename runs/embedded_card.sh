#!/usr/bin/env bash
# The numbers of the embedded judge's card: accuracy on held-out and on out-of-distribution pairs, and causality.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
engine=${1:-embedded}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
demo() { "$python" -c 'from thinkscore.cli import main; main()' demo --engine "$engine" --out "$out/$1" "${@:2}"; }
echo "== 1500 held-out pairs, 8 votes"
demo test --n 1500 --votes 8 --seed 101
echo "== 1500 held-out pairs, 1 vote"
demo one --n 1500 --votes 1 --seed 101
echo "== 600 out-of-distribution pairs, 8 votes"
demo ood --n 600 --votes 8 --seed 101 --split ood
for protocol in rm_r1 rrm deepseek_grm; do
  echo "== causality, $protocol"
  "$python" runs/causality.py --engine "$engine" --protocol "$protocol" --n 1000 --seed 11
done
