#!/usr/bin/env bash
# Does the audit find what is planted, and only that? Judges with known defects by probes, three seeds; then how weak a
# defect may be, and with how few cases, and still be found. What is done is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."
"${PYTHON:-.venv/bin/python}" runs/audit_validity run "$@"
