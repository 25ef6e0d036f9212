"""How the commands about a cluster say no. Every error is told in one message and ends with the exit code 2."""

import click


class CommandError(click.ClickException):
    """Told to the user as it is."""

    exit_code = 2


class Refused(CommandError):
    """What was asked for makes no sense now; the message says what to do instead."""


class KubectlError(CommandError):
    """kubectl is missing, or said no: the message is its own."""


class NotFound(KubectlError):
    """There is no such object."""


class Forbidden(KubectlError):
    """The user may not see or do this."""


class Conflict(KubectlError):
    """The object has changed since it was read."""
