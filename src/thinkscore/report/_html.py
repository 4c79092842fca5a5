"""From what a report says to one HTML file: escaping, hidden characters, and a policy that runs no script but ours."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["natural", "plain", "visible", "write_page"]

# Controls, zero-width spaces, line separators, marks that turn the direction of text, and tag characters.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def write_page(out: str | Path, context: Mapping[str, Any], template: str = "page.html") -> None:
    """Render a template with its style and script inside; the file appears when it is whole. Raises `BadInput`."""
    out = Path(out)
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("wb") as file:
            stream = _environment().get_template(template).stream(**_inlined(), **context)
            stream.enable_buffering(64)
            stream.dump(file, "utf-8", "backslashreplace")
        os.replace(partial, out)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}") from error


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here: few verbs need it

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "plain": plain, "percent": percent}
    return environment


def _inlined() -> dict[str, Markup]:
    """Return style and script as they stand, and the policy that names their hashes."""
    from markupsafe import Markup

    folder = Path(__file__).parent
    parts = {name: (folder / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    digests = {name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in parts.items()}
    policy = (
        f"default-src 'none'; style-src 'sha256-{digests['css']}'; script-src 'sha256-{digests['js']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return {name: Markup(text) for name, text in {**parts, "policy": policy}.items()}


def visible(text: object) -> Markup:
    """Escape a text; a character that would hide or reorder what is read is shown by its number and name."""
    from markupsafe import Markup, escape

    return Markup(_HIDDEN.sub(_named, str(escape(text))))


def plain(text: object) -> str:
    """Write a text for where no markup can stand; what would hide or reorder is shown by its number."""
    return _HIDDEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", str(text))


def _named(match: re.Match[str]) -> str:
    code = ord(match[0])
    name = unicodedata.name(match[0], "control character").lower()
    return f'<span class="hidden-character" title="{name}">U+{code:04X}</span>'


def percent(share: float, digits: int = 1) -> str:
    """Write a share in percent."""
    return f"{100 * share:.{digits}f} %"


def natural(value: object) -> list[tuple[bool, int, str]]:
    """Order texts so that the numbers in them count as numbers."""
    return [
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in re.split(r"(\d{1,18})", str(value))
    ]
