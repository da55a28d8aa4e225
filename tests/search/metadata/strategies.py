"""Strategies of metadata and of conditions on them, from values on which databases differ."""

from hypothesis import strategies as st

from cgcython.store.where.entries import KEPT, LONGEST

LONG = [("x" * n) + end for n in (KEPT, LONGEST - 1, LONGEST, 200) for end in ("", "a", "\0", "ü")]
TEXTS = ["", "a", "b", "ab", "\0", "é", "\U0010ffff", "5", *LONG]
WHOLE = [0, 1, -3, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 + 1, 10**20, -(10**20)]
NUMBERS = [*WHOLE, -0.0, 1.0, 1.5, 5e-324, 2.0**53, 2.0**63, -(2.0**63), 1e300]
MANY = [None, True, False, *NUMBERS, *TEXTS]
FEW = [None, True, 1, 1.0, 3, "a", LONG[4], LONG[5]]  # so that equal ones meet often
MANY_KEYS, MANY_PATHS = ["a", "b", "a.b", "", "x" * 100], ["a", "b", "a.b", "a.b.a", "x" * 100]


def records_of(scalars, keys):
    """Return the strategy of metadata of some values."""
    values = st.recursive(
        st.sampled_from(scalars),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=2)
        ),
        max_leaves=6,
    )
    return values, st.dictionaries(st.sampled_from(keys), values, max_size=3)


def conditions_of(scalars, values, paths):
    """Return the strategy of `where` about some values."""
    ordered = st.sampled_from([one for one in scalars if _is_ordered(one)])
    operators = st.recursive(
        st.dictionaries(st.sampled_from(["$eq", "$ne"]), values, min_size=1)
        | st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered, min_size=1)
        | st.dictionaries(
            st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3), min_size=1
        )
        | st.fixed_dictionaries({"$exists": st.booleans()}),
        lambda inner: st.fixed_dictionaries({"$not": inner}),
        max_leaves=2,
    )
    return st.recursive(
        st.dictionaries(st.sampled_from(paths), values | operators, max_size=2),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["$and", "$or"]),
                st.lists(inner, min_size=1, max_size=3),
                max_size=2,
            )
            | st.fixed_dictionaries({"$not": inner})
        ),
        max_leaves=4,
    )


def _is_ordered(value):
    is_text = isinstance(value, str) and len(value) <= KEPT
    return is_text or (isinstance(value, (int, float)) and not isinstance(value, bool))


VALUES, METADATA = records_of(MANY, MANY_KEYS)
WHERE = conditions_of(MANY, VALUES, MANY_PATHS)
FEW_VALUES, FEW_METADATA = records_of(FEW, ["a", "b"])
FEW_WHERE = conditions_of(FEW, FEW_VALUES, ["a", "a.b"])
