"""`spec.monitoring.sink`: whom the transitions of a model's health are told to. Read by `plan.monitoring.notices`."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from modelway.api.base import Model, Rule, rules

_URL: Final = r"^https?://[A-Za-z0-9._:@%\[\]-]+([/?][!$-~]*)?$"
"""Printable ASCII, without a fragment: what is beyond has to be written with percent signs."""
_USER_INFO: Final = "^https?://[^/?#]*@"


class Sink(Model):
    """A receiver of CloudEvents over HTTP: a broker of Knative, an event source of Argo, a service of your own."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                f"!self.url.matches('{_USER_INFO}')",
                "must not hold a password: everybody who may read the resource would see it",
                field=".url",
            ),
        )
    )

    url: Annotated[str, Field(min_length=1, max_length=512, pattern=_URL)]
    """Where each event is posted to. Its host must be one of those that the operator may call, which the cluster's
    administrator says in the chart's value `sinkHosts`."""
