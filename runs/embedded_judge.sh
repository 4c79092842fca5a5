#!/usr/bin/env bash
# Train the packaged judge and put it in its place (two threads, under 30 minutes; needs the train extra).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=${1:-out/embedded}
place=src/thinkscore/models/embedded
"$python" -c 'from thinkscore.cli import main; main()' lab train --seed 0 --threads 2 --out "$out"
for name in config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json \
  chat_template.jinja recipe.json; do
  cp "$out/$name" "$place/$name"
done
cp "$out/log.jsonl" "$place/loss.jsonl"
cp "$out/base/log.jsonl" "$place/base_loss.jsonl"
cp "$out/distilled/log.jsonl" "$place/distilled_loss.jsonl"
