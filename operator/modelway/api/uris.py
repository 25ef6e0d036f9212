"""What holds of every URI of the resource, wherever it stands: of models, of data sets, of answers."""

from typing import Final

from modelway.api.base import Rule

IN_A_BUCKET: Final = Rule(
    "!self.startsWith('s3://') || self.matches('^s3://[a-z0-9][a-z0-9.-]{1,62}/.+')",
    "must name a bucket and a key or prefix: s3://bucket/path/",
)
NO_PASSWORD: Final = Rule(
    "!self.matches('^[a-z0-9]+://[^/]*@')",
    "must hold no user or password: put them into a Secret named by credentialsSecretRef",
)
NO_WAY_UP: Final = Rule("!self.matches('(^|/)[.][.](/|$)')", "must not contain '..'")
