"""What `where` means, written down plainly: the definition that the index is compared with."""


def holds(where, metadata):
    """Return whether metadata meet conditions."""
    return all(_pair_holds(key, value, metadata) for key, value in where.items())


def _pair_holds(key, value, metadata):
    if key == "$and":
        return all(holds(one, metadata) for one in value)
    if key == "$or":
        return any(holds(one, metadata) for one in value)
    if key == "$not":
        return not holds(value, metadata)
    return _path_holds(value, list(found_at(metadata, key)))


def _path_holds(condition, found):
    if not _is_operators(condition):
        return _equals_one(condition, found)
    return all(_operator_holds(name, value, found) for name, value in condition.items())


def _operator_holds(name, value, found):
    if name == "$not":
        return not _path_holds(value, found)
    if name in ("$ne", "$nin"):
        return not _operator_holds({"$ne": "$eq", "$nin": "$in"}[name], value, found)
    if name == "$eq":
        return _equals_one(value, found)
    if name == "$in":
        return any(_equals_one(one, found) for one in value)
    if name == "$exists":
        return value == bool(found)
    return any(_is_ordered(name, one, value) for one in found)


def found_at(value, path):
    """Yield what is at a path in an object: each value, and the elements of each list."""
    for key, inner in value.items():
        if key == path:
            yield inner
            yield from inner if isinstance(inner, list) else ()
        elif path.startswith(f"{key}."):
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, dict):
                    yield from found_at(one, path[len(key) + 1 :])


def _equals_one(value, found):
    if value is None and not found:
        return True
    return any(equal(value, one) for one in found)


def equal(one, other):
    """Return whether two values of JSON are equal: true is not 1, 1.0 is."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if _is_number(one) and _is_number(other):
        return _as_compared(one) == _as_compared(other)
    return type(one) is type(other) and one == other


def _is_ordered(name, one, other):
    if _is_number(one) and _is_number(other):
        one, other = _as_compared(one), _as_compared(other)
    elif not (isinstance(one, str) and isinstance(other, str)):
        return False
    return {"$gt": one > other, "$gte": one >= other, "$lt": one < other, "$lte": one <= other}[
        name
    ]


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_compared(number):
    """Integers beyond 64 bits count as the float next to them."""
    return number if -(2**63) <= number < 2**63 else float(number)


def _is_operators(value):
    return isinstance(value, dict) and any(key.startswith("$") for key in value)
