"""What can go wrong here, said in one sentence that tells the reader what to do next."""


class LocalClusterError(Exception):
    """The local cluster cannot go on. The message is for a person: the command prints it without a traceback."""
