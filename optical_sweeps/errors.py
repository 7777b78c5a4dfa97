"""The one error a user is meant to read."""


class UserError(Exception):
    """Bad input: one line that says what is wrong, where (file, line, key), and what to do.

    The command line prints it without a traceback; everything else that is raised is a defect of ours.
    """
