"""Tries a test with many values in one item, where thousands of items cost more than they try."""

import functools
import inspect


def looped(names, values):
    """Call a test with each of some values, as pytest's parametrize does, but in one item.

    `names` are one parameter, or several and then each value is a tuple. The first failure ends
    the item; a note below it names the values.
    """
    names, values = (names,) if isinstance(names, str) else tuple(names), list(values)

    def around(test):
        @functools.wraps(test)
        def each(**fixtures):
            for value in values:
                given = dict(zip(names, (value,) if len(names) == 1 else value, strict=True))
                try:
                    test(**fixtures, **given)
                except BaseException as error:
                    error.add_note(f"{test.__name__} with {given}")
                    raise

        signature = inspect.signature(test)
        kept = [one for one in signature.parameters.values() if one.name not in names]
        each.__signature__ = signature.replace(parameters=kept)
        return each

    return around
