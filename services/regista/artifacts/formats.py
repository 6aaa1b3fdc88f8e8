"""Telling a model's format from its bytes. Names and extensions count for nothing.

Recognised: ``pickle`` (protocols 0 to 5), ``joblib`` (also packed), ``onnx``, ``torchscript``, ``pytorch`` (ZIP, legacy stream, legacy
tar), ``safetensors``, ``keras`` (ZIP), ``keras-h5``, ``hdf5``, ``savedmodel``, ``gguf``, ``xgboost`` (JSON, UBJSON), ``lightgbm`` (text);
``unknown`` is everything else. Every look is bounded: a hostile file costs a wrong answer, never memory or time without end.
"""

from __future__ import annotations

import re
import struct
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regista.artifacts.containers import (
    UNPACKED_LIMIT,
    UnpackedEnough,
    Unreadable,
    compression,
    decompressed,
    open_zip,
)
from regista.artifacts.onnx import is_onnx
from regista.artifacts.pickle_machine import Machine
from regista.artifacts.pickle_opcodes import BrokenPickle
from regista.artifacts.protobuf import BYTES, VARINT, BrokenMessage, Message
from regista.artifacts.safetensors import is_safetensors
from regista.artifacts.source import open_file

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Mapping

    from regista.artifacts.source import Source

UNKNOWN = "unknown"

PRECEDENCE = (
    *("savedmodel", "onnx", "safetensors", "gguf", "torchscript", "keras", "keras-h5", "pytorch"),
    *("xgboost", "lightgbm", "joblib", "pickle", "hdf5"),
)
"""Which format names a folder that holds several: the one that can be served, before what lies beside it."""

_HEAD = 4096
_TRIAL_OPCODES = 200_000
_HDF5_WINDOW = 4 << 20
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""torch.serialization.MAGIC_NUMBER, pickled; a PROTO opcode of two bytes stands before it."""

_XGBOOST_JSON = re.compile(rb'\s*\{\s*"learner"\s*:\s*\{\s*"(attributes|feature_names|feature_types|gradient_booster)"')
_XGBOOST_UBJ = re.compile(rb"\{(L\x00{7}|l\x00{3}|[iU])\x07learner\{")
_LIGHTGBM = re.compile(rb"tree\r?\nversion=v\d+\r?\nnum_class=\d+")


@dataclass(frozen=True, slots=True)
class Detection:
    """The format of the whole, and that of each file by path."""

    format: str
    files: Mapping[str, str]

    def files_of(self, name: str) -> tuple[str, ...]:
        """Paths of the files that have a format, sorted."""
        return tuple(sorted(path for path, found in self.files.items() if found == name))


def detect(source: Source) -> Detection:
    """Tell the format of an artifact, a file or a folder alike."""
    files = {path: detect_file(source, path) for path in sorted(source.files)}
    if any(_is_saved_model_place(path) and found == "savedmodel" for path, found in files.items()):
        return Detection("savedmodel", files)
    present = set(files.values()) - {"savedmodel"}
    return Detection(next((name for name in PRECEDENCE if name in present), UNKNOWN), files)


def detect_file(source: Source, path: str) -> str:
    """Tell the format of one file; a SavedModel's graph file is ``savedmodel``."""
    if source.files[path] == 0:
        return UNKNOWN
    with open_file(source, path) as file:
        head = file.read(_HEAD)
        for name, matches in _BY_HEAD:
            if matches(head):
                return name
        if is_safetensors(source, path):
            return "safetensors"
        for look in _BY_STRUCTURE:
            file.seek(0)
            if (found := look(file, head)) is not None:
                return found
    return UNKNOWN


def _is_saved_model_place(path: str) -> bool:
    """A SavedModel is a folder by convention: saved_model.pb in it, or one level down where versions are folders."""
    return path.rsplit("/", maxsplit=1)[-1] == "saved_model.pb" and path.count("/") <= 1


def _is_gguf(head: bytes) -> bool:
    """GGUF (github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, then version 1 to 3 in either byte order."""
    return head[:4] == b"GGUF" and head[4:8] in {struct.pack(order + "I", v) for order in "<>" for v in (1, 2, 3)}


_BY_HEAD: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("gguf", _is_gguf),
    ("pytorch", lambda head: head[:1] == b"\x80" and head[2:16].startswith(_TORCH_MAGIC)),
    ("xgboost", lambda head: _XGBOOST_JSON.match(head) is not None or _XGBOOST_UBJ.match(head) is not None),
    ("lightgbm", lambda head: _LIGHTGBM.match(head) is not None),
)


def _zip(file: io.BufferedReader, head: bytes) -> str | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    try:
        with open_zip(file) as archive:
            return UNKNOWN if archive is None else _zip_format(archive)
    except (Unreadable, zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return UNKNOWN


def _zip_format(archive: zipfile.ZipFile) -> str:
    names = set(archive.namelist())
    if {"config.json", "metadata.json"} <= names and _holds(archive, "metadata.json", b"keras_version"):
        return "keras"
    root = next((name[: -len("data.pkl")] for name in sorted(names) if name.endswith("data.pkl")), None)
    if root is None or root.strip("/").count("/"):
        return UNKNOWN
    if f"{root}constants.pkl" in names:
        return "torchscript"
    return "pytorch"


def _holds(archive: zipfile.ZipFile, name: str, text: bytes) -> bool:
    with archive.open(name) as member:
        return text in member.read(_HEAD)


def _hdf5(file: io.BufferedReader, head: bytes) -> str | None:
    """HDF5, and Keras' own where the attribute ``model_config`` stands among the structures at either end of the file."""
    if not head.startswith(b"\x89HDF\r\n\x1a\n"):
        return None
    size = file.seek(0, 2)
    file.seek(0)
    window = file.read(_HDF5_WINDOW)
    if size > len(window):
        file.seek(max(len(window), size - _HDF5_WINDOW))
        window += file.read(_HDF5_WINDOW)
    return "keras-h5" if b"model_config\x00" in window else "hdf5"


def _packed(file: io.BufferedReader, head: bytes) -> str | None:
    """A packed pickle is joblib's: nobody else packs them, and joblib opens all."""
    if compression(head) is None:
        return None
    try:
        return "joblib" if _pickle_kind(decompressed(file, UNPACKED_LIMIT)) else UNKNOWN
    except (OSError, EOFError, Unreadable, ValueError):
        return UNKNOWN


def _pickle(file: io.BufferedReader, head: bytes) -> str | None:  # noqa: ARG001 - the looks share one form
    return _pickle_kind(file)


def _pickle_kind(file: io.BufferedReader) -> str | None:
    """Follow the opcodes; protocols 0 and 1 have no magic number, so they must be sound to the last byte of the file."""
    marked = file.peek(2)[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    machine = Machine(file, _TRIAL_OPCODES)
    try:
        machine.run()
    except BrokenPickle:
        if machine.opcodes_left >= 0:
            return "joblib" if marked and _is_joblib(machine) else None
    except UnpackedEnough:
        return "pickle" if marked else None
    else:
        if not marked and (machine.opcodes < 2 or file.read(1)):
            return None
    return "joblib" if _is_joblib(machine) else "pickle"


def _is_joblib(machine: Machine) -> bool:
    return any(str(name.module).startswith("joblib.numpy_pickle") for name in machine.imports)


def _onnx(file: io.BufferedReader, head: bytes) -> str | None:  # noqa: ARG001 - the looks share one form
    return "onnx" if is_onnx(file) else None


def _saved_model(file: io.BufferedReader, head: bytes) -> str | None:  # noqa: ARG001 - the looks share one form
    """SavedModel (tensorflow/core/protobuf/saved_model.proto): a schema version of 1, then meta graphs."""
    kinds = set()
    try:
        for number, wire, value in Message.of(file).fields():
            kinds.add((number, wire))
            if number > 2 or (number == 1 and value != 1):
                return None
    except BrokenMessage:
        return None
    return "savedmodel" if kinds == {(1, VARINT), (2, BYTES)} else None


def _torch_tar(file: io.BufferedReader, head: bytes) -> str | None:
    """PyTorch before 0.1.10: a tar with the members below (torch.serialization._legacy_load)."""
    if head[257:262] != b"ustar":
        return None
    names = set()
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for _ in range(16):
                if (member := archive.next()) is None:
                    break
                names.add(member.name.removeprefix("./"))
    except (tarfile.TarError, OSError, ValueError):
        return UNKNOWN
    return "pytorch" if {"pickle", "storages", "tensors"} <= names else UNKNOWN


_BY_STRUCTURE: tuple[Callable[[io.BufferedReader, bytes], str | None], ...] = (
    _zip,
    _hdf5,
    _torch_tar,
    _packed,
    _onnx,
    _saved_model,
    _pickle,
)
