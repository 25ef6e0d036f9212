"""The ModelDeployment as a whole: what the API server holds, parsed."""

from typing import Annotated, Any

from pydantic import Field

from modelway.api.base import Model
from modelway.api.spec import Spec
from modelway.api.status import Status


class Metadata(Model):
    """The parts of an object's metadata that modelway reads."""

    name: Annotated[str, Field(max_length=63)]
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    annotations: dict[str, str] = Field(default_factory=dict)
    deletion_timestamp: str | None = None


class ModelDeployment(Model):
    """A machine-learning model that is deployed: served, kept at its version, and told about in `status`."""

    metadata: Metadata
    spec: Spec
    status: Status = Field(default_factory=Status)

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> "ModelDeployment":
        """The resource from the API server's JSON.

        Raises:
            pydantic.ValidationError: the object was written under another version of the CRD.
        """
        return cls.model_validate(obj)
