"""`spec.monitoring.observe`: where an image of the user's own has its rows and predictions.

Read by `plan.observers`, which makes the pod that counts them. No part of the revision: giving, changing or removing it
restarts no pod of the model. docs/monitoring.md explains it to users.
"""

from typing import Annotated, Final

from pydantic import Field

from modelway.api.base import Model
from modelway.api.units import Percent

DEFAULT_REQUEST_PATH: Final = "/instances/*"
DEFAULT_RESPONSE_PATH: Final = "/predictions/*"
DEFAULT_SHARE: Final = "100%"

Pointer = Annotated[str, Field(max_length=256, pattern=r"^(/([^~/]|~[01])*)*$")]


class Observe(Model):
    """What of the requests to an image of your own, and of its answers, is counted. Both are JSON."""

    request_path: Pointer | None = None
    """Where the rows of a request are: a JSON Pointer (RFC 6901) in which `*` is each element of a list. `/rows/*`:
    each element of `rows`; `/features`: one row; the empty text: all of the request is one row. A row is a list of
    values, an object of named ones, or a value. Defaults to `/instances/*`."""

    response_path: Pointer | None = None
    """Where the predictions of its answer are, likewise: `/classes/*`, `/predictions/*/score`. Defaults to
    `/predictions/*`."""

    share: Percent | None = None
    """How many of the requests are shown to the observer, by chance. Less where there are hundreds a second: being
    shown costs a router about as much as being passed on. Defaults to 100%."""
