"""The page as HTML: one file that loads nothing, runs nothing and can be read on paper.

Every name in it may come from a stranger. Jinja2 escapes all of them, and the policy in the page's head forbids any
script, any request, and any style but its own.
"""

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from modelway.report.distributions import Distribution
from modelway.report.page import Page
from modelway.report.plots import HEIGHT, WIDTH

_STATIC: Final = Path(__file__).with_name("static")
_LEAST: Final = 0.0005
"""A share that would be rounded to nothing."""


def render(page: Page) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(_STATIC),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "moment": moment, "psi": psi, "described": described}
    style = _STATIC.joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html").render(
        page=page,
        # Our own file, and its hash is that of these very bytes.
        style=Markup(style),  # noqa: S704
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        width=WIDTH,
        height=HEIGHT,
    )


def percent(share: float | None) -> str:
    """A share from 0 to 1 for people."""
    if share is None:
        return "not known"
    return "< 0.1 %" if 0 < share < _LEAST else f"{100 * share:.1f} %"


def moment(time: datetime | None) -> str:
    """A moment for people."""
    return f"{time:%Y-%m-%d %H:%M} UTC" if time is not None else ""


def psi(one: Distribution) -> str:
    """How far it lies from what is usual, with the interval; why that is not known, where it is not."""
    verdict = one.verdict
    if verdict.psi is None or verdict.low is None or verdict.high is None:
        return verdict.because
    return f"{max(verdict.psi, 0.0):.2f} [{verdict.low:.2f}, {verdict.high:.2f}]"


def described(one: Distribution) -> str:
    """The picture in words."""
    known = [(cell, cell.now - cell.usual) for cell in one.cells if cell.now is not None and cell.usual is not None]
    if not known:
        largest = max(one.cells, key=lambda cell: max(cell.now or 0.0, cell.usual or 0.0))
        share = largest.now if largest.now is not None else largest.usual
        return f"{len(one.cells)} cells; most rows lie in {largest.label}: {percent(share)}."
    most, _ = max(known, key=lambda pair: abs(pair[1]))
    return (
        f"Usual beside now in {len(known)} cells. The largest difference is in {most.label}: usually "
        f"{percent(most.usual)} of the rows, now {percent(most.now)}."
    )
