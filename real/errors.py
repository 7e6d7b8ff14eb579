"""Failures that a user can do something about."""


class ExpectedError(Exception):
    """Its message is one sentence per problem: what is wrong, where, what to do. The command line prints no more."""
