"""What a request costs its client: thinkscore, its_hub, OpenJudge and a bare aiohttp loop against the same stub server.

    python benchmarks/http_overhead/run.py [--venvs DIR] [--rounds 5] [--requests 4000] [--pairs 50000] [--json]

Ours journals every call and parses every answer; its_hub and OpenJudge, each in an environment of its own that is made
if it is not there, keep no records. Every client is a process of its own and says what it cost (CPU of all its threads
in the measured part, after a warm-up); the clients take turns, and the table shows medians over the rounds. thinkscore
and aiohttp are those of the interpreter that runs this file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SETTINGS = ((32, 0.0), (64, 0.05), (256, 0.05))
"""(connections, seconds of latency)."""


class Client(NamedTuple):
    """A client and how to run it."""

    script: str
    path: str
    """Whose answers it wants from the stub."""
    package: str = ""
    """What its environment holds; that of this interpreter if empty."""
    share: float = 1.0
    """Of the requests that the others make, so that the slow do not take all day."""
    samples: int = 1
    """Choices per request."""


CLIENTS = {
    "bare aiohttp": Client("bare", "bare"),
    "thinkscore": Client("with_thinkscore", "thinkscore"),
    "thinkscore, n=8": Client("with_thinkscore", "thinkscore", share=0.25, samples=8),
    "its_hub 1.2.0": Client("with_its_hub", "its_hub", "its_hub[lm]==1.2.0"),
    "OpenJudge 0.2.4": Client("with_openjudge", "openjudge", "py-openjudge==0.2.4", share=0.1),
}


class Cost(NamedTuple):
    """What one run cost."""

    cpu: float
    """Milliseconds of CPU per request."""
    verdict: float
    """The same per verdict."""
    rate: float
    """Requests per second."""
    mb: float
    """Peak memory."""


def interpreter(client: Client, venvs: Path) -> Path:
    """Return the interpreter of a client; make its environment if it is not there."""
    if not client.package:
        return Path(sys.executable)
    python = venvs / client.path / "bin" / "python"
    if not python.exists():
        print(f"installing {client.package} into {python.parents[1]}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        try:
            subprocess.run([python, "-m", "pip", "install", "--quiet", client.package], check=True)
        except BaseException:
            python.unlink()  # so that the next run tries again
            raise
    return python


@contextmanager
def stub(latency: float) -> Iterator[int]:
    """Run the stub server; gives its port."""
    line = [sys.executable, str(HERE / "stub.py"), "--latency", str(latency)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def measure(client: Client, python: Path, port: int, requests: int, connections: int) -> Cost:
    """Run a client once."""
    script, url = HERE / "clients" / f"{client.script}.py", f"http://127.0.0.1:{port}/{client.path}/v1"
    line = [str(python), str(script), url, str(requests), str(connections), "--samples", str(client.samples)]
    own = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")} if not client.package else {"PYTHONPATH": ""}
    done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **own}, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{client.script} failed:\n{done.stderr}")
    said = json.loads(done.stdout)
    if said["verdicts"] != requests * client.samples:
        raise SystemExit(f"{client.script} read {said['verdicts']} verdicts from {requests} requests\n{done.stderr}")
    cpu, rate = 1e3 * said["cpu"], requests / said["seconds"]
    return Cost(cpu / requests, cpu / said["verdicts"], rate, said["mb"])


def compare(clients: dict[str, Client], args: argparse.Namespace) -> dict[str, dict[str, Cost]]:
    """Let the clients take turns in every setting; returns the medians by setting and client."""
    pythons = {name: interpreter(client, args.venvs) for name, client in clients.items()}
    found: dict[str, dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))
    for turn in range(args.rounds):
        for connections, latency in SETTINGS:
            setting = f"{connections} connections, {1e3 * latency:.0f} ms"
            with stub(latency) as port:
                for name, client in clients.items():
                    requests = 2 * round(client.share * args.requests / 2)
                    cost = measure(client, pythons[name], port, requests, connections)
                    found[setting][name].append(cost)
                    said = f"round {turn + 1}, {setting}, {name}: {cost.cpu:.3f} ms, {cost.rate:.0f}/s"
                    print(said, file=sys.stderr, flush=True)
    return {
        setting: {name: Cost(*map(statistics.median, zip(*costs, strict=True))) for name, costs in by_client.items()}
        for setting, by_client in found.items()
    }


def table(setting: str, costs: dict[str, Cost], ideal: float) -> str:
    """Write the table of one setting."""
    lines = [f"{setting:24} {'CPU ms/request':>15} {'ms/verdict':>11} {'requests/s':>11} {'of ideal':>9} {'MB':>5}"]
    for name, cost in costs.items():
        share = f"{100 * cost.rate / ideal:8.0f} %" if ideal else f"{'':>10}"
        lines.append(f"{name:24} {cost.cpu:15.3f} {cost.verdict:11.3f} {cost.rate:11.0f}{share} {cost.mb:5.0f}")
    return "\n".join(lines)


def ratios(costs: dict[str, Cost]) -> dict[str, float]:
    """Set ours beside the others, where they ran."""
    ours, batched = costs.get("thinkscore"), costs.get("thinkscore, n=8")
    if ours is None:
        return {}
    others = {name: cost for name, cost in costs.items() if CLIENTS[name].path != "thinkscore"}
    cpu = {f"CPU per request, ours / {name}": ours.cpu / cost.cpu for name, cost in others.items()}
    rate = {f"rate, ours / {name}": ours.rate / cost.rate for name, cost in others.items() if name == "bare aiohttp"}
    verdict = {"CPU per verdict, n=8 / n=1": batched.verdict / ours.verdict} if batched else {}
    return {**cpu, **rate, **verdict}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(tempfile.gettempdir()) / "thinkscore-benchmark-environments"
    parser.add_argument("--venvs", type=Path, default=default, help="folder of the others' environments")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000, help="per run; OpenJudge makes a tenth of them")
    parser.add_argument("--pairs", type=int, default=50_000, help="pairs of the memory run; 0 leaves it out")
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    medians = compare({name: CLIENTS[name] for name in args.clients}, args)
    result: dict[str, object] = {"settings": {}, "rounds": args.rounds}
    blocks = []
    for (connections, latency), (setting, costs) in zip(SETTINGS, medians.items(), strict=True):
        beside = ratios(costs)
        result["settings"] |= {setting: {"costs": {k: c._asdict() for k, c in costs.items()}, "ratios": beside}}
        shown = [f"    {name}: {value:.2f}" for name, value in beside.items()]
        blocks.append("\n".join([table(setting, costs, connections / latency if latency else 0.0), *shown]))
    if args.pairs and "thinkscore" in args.clients:
        with stub(0.0) as port:
            cost = measure(CLIENTS["thinkscore"], Path(sys.executable), port, args.pairs, 64)
        result["memory"] = {"pairs": args.pairs, "mb": cost.mb}
        blocks.append(f"thinkscore, {args.pairs} pairs: peak memory {cost.mb:.0f} MB, {cost.rate:.0f} pairs/s")
    print(json.dumps(result) if args.json else "\n\n".join(blocks))


if __name__ == "__main__":
    main()
