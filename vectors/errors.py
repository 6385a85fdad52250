"""The one error that the command line shows as a sentence."""


class InputError(ValueError):
    """What a user gave can't be used; the message says what, where (file, row, value) and what to do about it."""
