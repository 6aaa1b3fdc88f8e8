"""The rules of the registry: pure functions over plain values, the standard library alone."""
