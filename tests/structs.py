"""Values of any of our typed structs, for hypothesis: a new frame or event is tried without a line more."""

from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

#: What a number on the wire may be: Protobuf's int64, and SQLite's.
INTEGERS = st.integers(-(2**63), 2**63 - 1)
_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=30),
    bytes: st.binary(max_size=30),
    int: INTEGERS,
    # JSON has no others.
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type that our structs use. Raises TypeError for a type it does not know."""
    if isinstance(kind, NewType):
        return values_of(kind.__supertype__)
    if kind in _LEAVES:
        return _LEAVES[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(arguments[0], arguments[1])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=4)
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=4)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        return st.builds(kind, **{name: values_of(hints[name]) for name in kind.__struct_fields__})
    raise TypeError(f"no strategy for {kind!r}")


def _bounded(kind: Any, meta: msgspec.Meta) -> st.SearchStrategy[Any]:
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    if kind is int:
        return st.integers(meta.ge if meta.gt is None else meta.gt + 1, meta.le)
    if kind is bytes:
        return st.binary(min_size=meta.min_length or 0, max_size=meta.max_length)
    raise TypeError(f"no strategy for a bounded {kind!r}")
