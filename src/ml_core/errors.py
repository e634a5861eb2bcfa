"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """Bad input, settings or data. Its message is one clear sentence: what, where, what was expected, what to do.

    The command line prints the message without a traceback and exits with 2; Dagster shows it as the step's failure.
    """


class NotFinite(UserError):
    """A loss or a gradient became NaN or infinite; the weights are those before it did."""
