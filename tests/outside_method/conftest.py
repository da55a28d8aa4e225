from importlib.util import find_spec

# The package `cgtoy` is imported in processes of their own, so that no other test knows its method.
collect_ignore = ["site"] if find_spec("cgtoy") else ["site", "inside"]
