"""What Prometheus is asked: each selector of a check, once for each revision, and for this namespace alone. Pure.

Users write selectors (`api.rollout.Selector`), never PromQL, so that adding a matcher behind the last one is all it
takes to keep them in their namespace: Prometheus gives what all matchers of a selector agree on, whatever the others
say. What is filled in for `$namespace`, `$name` and `$revision` are names of Kubernetes, which need no quoting.
"""

import re
from typing import Final

from modelway.api.resource import Metadata
from modelway.plan.measured import Question
from modelway.plan.rollout.ledger import Ledger

_PLACEHOLDER: Final = re.compile(r"\$(namespace|name|revision)")
_END: Final = re.compile(r" *,? *\}$")


def questions_of(ledger: Ledger, metadata: Metadata, *, label: str) -> frozenset[Question]:
    """The questions of all checks of a rollout.

    Args:
        ledger: of the rollout.
        metadata: of the ModelDeployment.
        label: by which Prometheus knows the namespace of what it has scraped.

    """
    return frozenset(
        Question(
            check=check.name,
            revision=revision,
            good=selector(check.prometheus.good, metadata, revision, label=label),
            total=selector(check.prometheus.total, metadata, revision, label=label),
        )
        for check in ledger.rollout.checks
        if check.prometheus is not None
        for revision in (ledger.candidate, ledger.stable)
    )


def selector(given: str, metadata: Metadata, revision: str, *, label: str) -> str:
    """`given` with its placeholders filled in, and kept in the namespace."""
    filled = {"namespace": metadata.namespace, "name": metadata.name, "revision": revision}
    text = _PLACEHOLDER.sub(lambda found: filled[found[1]], given)
    return _END.sub("", text) + f',{label}="{metadata.namespace}"' + "}"
