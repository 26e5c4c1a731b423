"""Errors that a user can mend."""


class BbmrError(Exception):
    """Something is wrong with what the user gave; the message names it and says what to do.

    The command line prints the message without a stack trace.
    """
