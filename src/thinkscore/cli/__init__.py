"""The command line: `thinkscore VERB`. One file per verb; errors meant for the user are one message and exit code 2."""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    import typer

    from ..errors import ThinkscoreError
    from ._app import app

    try:
        code = app(standalone_mode=False)
    except ThinkscoreError as error:
        print(f"thinkscore: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):  # the framework turns the one into the other
        print(
            "thinkscore: interrupted; the same command goes on (what judges: with the same --journal)", file=sys.stderr
        )
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output is gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")) and hasattr(error, "show"):
            error.show()
            sys.exit(2)
        raise
    sys.exit(code or 0)
