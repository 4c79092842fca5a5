"""An OpenAI-compatible server without a model: the HTTP side of an engine, with faults on purpose.

    async with Server(faults="429=0.1,reset=0.1") as server: ...        # server.url, server.requests
    with serve_in_thread(engine="embedded") as server: ...              # from code without a loop
    python -m thinkscore.doubles.server --engine embedded --port 8000   # from a shell

A prompt goes in over HTTP instead of through `Engine.generate`; behind it a script or any engine completes it. The
seed of choice i derives from (seed of the request, i), so `embedded` gives the same samples on both ways.
"""

from ._app import Server, serve_in_thread
from ._faults import Faults, Record
from ._wire import ChatRequest

__all__ = ["ChatRequest", "Faults", "Record", "Server", "serve_in_thread"]
