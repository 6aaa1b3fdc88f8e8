"""A pickle machine that resolves no name, calls nothing and keeps no data: it only sees which imports are asked for.

What opcodes do to the stack comes from the standard library's ``pickletools``. Where the real unpickler would fail, this one
stops with :class:`regista.artifacts.pickle_opcodes.BrokenPickle`.
"""

from __future__ import annotations

import pickletools
import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from regista.artifacts.pickle_opcodes import PLAIN, BrokenPickle, exactly, read_opcodes, skip
from regista.artifacts.pickle_values import (
    DICT_LIMIT,
    MARK,
    OPAQUE,
    TUPLE_LIMIT,
    Made,
    Name,
    RawArray,
    UnknownArray,
    Value,
    joblib_array,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_KEEPS_BOTTOM = frozenset({"APPEND", "APPENDS", "ADDITEMS"})


@dataclass
class Machine:
    """Runs one pickle after another from ``file``; ``imports`` gathers every import asked for, in order of appearance."""

    file: BinaryIO
    opcodes_left: int
    protocol: int = 0
    imports: dict[Name, None] = field(default_factory=dict)
    opcodes: int = 0
    _stack: list[Value] = field(default_factory=list)
    _memo: dict[int, Value] = field(default_factory=dict)

    def run(self) -> None:
        """Follow one pickle to its STOP."""
        self._stack, self._memo, self.protocol = [], {}, 0
        try:
            for opcode, argument in read_opcodes(self.file):
                self._step(opcode, argument)
            self._pop()
        except (struct.error, IndexError, KeyError, ValueError, OverflowError) as error:
            raise BrokenPickle("it is cut off or takes what is not there") from error
        except UnknownArray as error:
            raise BrokenPickle("it holds a joblib array whose length cannot be told") from error
        if self._stack:
            raise BrokenPickle("it leaves more than one object")

    def _step(self, opcode: pickletools.OpcodeInfo, argument: Value) -> None:
        self.opcodes += 1
        self.opcodes_left -= 1
        if self.opcodes_left < 0:
            raise BrokenPickle("it has more opcodes than are followed")
        special = self._SPECIAL.get(opcode.name)
        if special is not None:
            special(self, argument)
        elif opcode.name in PLAIN:
            self._stack.append(argument)
        else:
            self._generic(opcode)

    def _pop(self) -> Value:
        value = self._stack.pop()
        if value is MARK:
            raise BrokenPickle("a mark stands where an object is needed")
        return value

    def _pop_to_mark(self) -> list[Value]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is MARK:
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise BrokenPickle("a mark is missing")

    def _generic(self, opcode: pickletools.OpcodeInfo) -> None:
        """Do to the stack what ``pickletools`` says, with nothing but opaque objects."""
        before = list(opcode.stack_before)
        if pickletools.markobject in before:
            self._pop_to_mark()
            before = before[: before.index(pickletools.markobject)]
        taken = [self._pop() for _ in before]
        if opcode.name in _KEEPS_BOTTOM:
            self._stack.append(taken[-1])
        else:
            self._stack.extend(OPAQUE for _ in opcode.stack_after)

    def _import(self, module: Value, name: Value) -> None:
        if isinstance(module, str) and isinstance(name, str):
            if self.protocol < 3:  # as pickle.Unpickler does with fix_imports
                module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            found = Name(module, name)
        else:
            found = Name(None, None)
        self.imports[found] = None
        self._stack.append(found)

    def _do_proto(self, argument: Value) -> None:
        if not isinstance(argument, int) or argument > 5:
            raise BrokenPickle("its protocol is unknown")
        self.protocol = argument

    def _do_mark(self, _: Value) -> None:
        self._stack.append(MARK)

    def _do_global(self, argument: Value) -> None:
        module, name = argument if isinstance(argument, tuple) else (None, None)
        self._import(module, name)

    def _do_stack_global(self, _: Value) -> None:
        name, module = self._pop(), self._pop()
        self._import(module, name)

    def _do_extension(self, argument: Value) -> None:
        """An entry of copyreg's registry: which import it stands for is known only where the pickle is loaded."""
        self._import("copyreg.extension", str(argument))

    def _do_inst(self, argument: Value) -> None:
        args = self._pop_to_mark()
        self._do_global(argument)
        self._stack.append(Made(self._stack.pop(), _tuple(args)))

    def _do_obj(self, _: Value) -> None:
        maker, *args = self._pop_to_mark()
        self._stack.append(Made(maker, _tuple(args)))

    def _do_call(self, _: Value) -> None:
        args, maker = self._pop(), self._pop()
        self._stack.append(Made(maker, args))

    def _do_newobj_ex(self, _: Value) -> None:
        _, args, maker = self._pop(), self._pop(), self._pop()
        self._stack.append(Made(maker, args))

    def _do_build(self, _: Value) -> None:
        state, made = self._pop(), self._pop()
        if isinstance(made, Made):
            made.state = state
        self._stack.append(made)
        follows = joblib_array(made)
        if isinstance(follows, RawArray):
            skip(self.file, exactly(self.file, 1)[0] if follows.padded else 0)
            skip(self.file, follows.size)
        elif follows is not None:
            self._run_inner()

    def _run_inner(self) -> None:
        """An array of objects: joblib writes a pickle of its own in place of the bytes."""
        inner = Machine(self.file, self.opcodes_left, imports=self.imports)
        inner.run()
        self.opcodes_left = inner.opcodes_left

    def _do_memoize(self, _: Value) -> None:
        self._memo[len(self._memo)] = self._top()

    def _do_put(self, argument: Value) -> None:
        assert isinstance(argument, int)
        self._memo[argument] = self._top()

    def _do_get(self, argument: Value) -> None:
        assert isinstance(argument, int)
        self._stack.append(self._memo[argument])

    def _do_dup(self, _: Value) -> None:
        self._stack.append(self._top())

    def _do_pop(self, _: Value) -> None:
        self._stack.pop()

    def _do_tuple(self, _: Value) -> None:
        self._stack.append(_tuple(self._pop_to_mark()))

    def _do_empty_tuple(self, _: Value) -> None:
        self._stack.append(())

    def _do_tuple_1(self, _: Value) -> None:
        self._stack.append((self._pop(),))

    def _do_tuple_2(self, _: Value) -> None:
        second, first = self._pop(), self._pop()
        self._stack.append((first, second))

    def _do_tuple_3(self, _: Value) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._stack.append((first, second, third))

    def _do_empty_dict(self, _: Value) -> None:
        self._stack.append({})

    def _do_dict(self, _: Value) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set_items(items)

    def _do_set_item(self, _: Value) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _do_set_items(self, _: Value) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[Value]) -> None:
        target = self._top()
        if isinstance(target, dict) and len(target) + len(items) // 2 <= DICT_LIMIT:
            target.update((k, v) for k, v in zip(items[::2], items[1::2], strict=True) if isinstance(k, str))

    def _top(self) -> Value:
        self._stack.append(value := self._pop())
        return value

    _SPECIAL: ClassVar[dict[str, Callable[[Machine, Value], None]]] = {
        "PROTO": _do_proto,
        "MARK": _do_mark,
        "GLOBAL": _do_global,
        "STACK_GLOBAL": _do_stack_global,
        "EXT1": _do_extension,
        "EXT2": _do_extension,
        "EXT4": _do_extension,
        "INST": _do_inst,
        "OBJ": _do_obj,
        "REDUCE": _do_call,
        "NEWOBJ": _do_call,
        "NEWOBJ_EX": _do_newobj_ex,
        "BUILD": _do_build,
        "MEMOIZE": _do_memoize,
        "PUT": _do_put,
        "BINPUT": _do_put,
        "LONG_BINPUT": _do_put,
        "GET": _do_get,
        "BINGET": _do_get,
        "LONG_BINGET": _do_get,
        "DUP": _do_dup,
        "POP": _do_pop,
        "TUPLE": _do_tuple,
        "EMPTY_TUPLE": _do_empty_tuple,
        "TUPLE1": _do_tuple_1,
        "TUPLE2": _do_tuple_2,
        "TUPLE3": _do_tuple_3,
        "EMPTY_DICT": _do_empty_dict,
        "DICT": _do_dict,
        "SETITEM": _do_set_item,
        "SETITEMS": _do_set_items,
    }


def _tuple(values: list[Value]) -> Value:
    return tuple(values) if len(values) <= TUPLE_LIMIT else OPAQUE
