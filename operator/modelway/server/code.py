"""The policy on files that can run code when they are loaded. In a module of its own: it is read before any library."""

from enum import StrEnum


class Code(StrEnum):
    """What a format that can run code when it is loaded may do (`spec.model.code`)."""

    REFUSE = "Refuse"
    ALLOW_LIST = "AllowList"
    TRUST = "Trust"
