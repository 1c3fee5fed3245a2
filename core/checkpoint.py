"""Checkpoints that are complete or absent, verified when written and again when read. No pickle anywhere.

``checkpoints/step_000012/`` holds ``tensors.safetensors``, ``values.json`` and, written last, ``manifest.json``: the
step, the configuration's hash, the size and SHA-256 of each file. It is made under a temporary name and renamed.
torch is imported only to write or read tensors: finding the newest valid checkpoint needs none of it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RunDirError
from .events import CheckpointRejected, CheckpointSaved
from .files import sync_folder, write_synced
from .run_dir import RunDir

if TYPE_CHECKING:
    import torch

SCHEMA_VERSION = 1
TENSORS, VALUES, MANIFEST = "tensors.safetensors", "values.json", "manifest.json"
_NAME = re.compile(r"^step_(\d{6,})$")
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Found:
    """A checkpoint on disk whose every byte matches its manifest."""

    step: int
    path: Path
    config_hash: str


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint held."""

    step: int
    config_hash: str
    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


class _DamagedError(Exception):
    """Why a folder is no valid checkpoint."""


def save(
    run: RunDir, step: int, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any], config_hash: str
) -> CheckpointSaved:
    """Write the checkpoint of ``step`` and read it back; returns the event that may now be written.

    Raises ``OSError`` with ENOSPC before anything is touched unless twice its size is free, and whatever the disk says
    later; ``RunDirError`` if the step has a checkpoint already. Older checkpoints are never touched here.
    """
    started = time.monotonic()
    target = run.checkpoint(step)
    if target.exists():
        raise RunDirError(f"{target} exists already; a step is saved once")
    files = {TENSORS: _tensor_bytes(tensors), VALUES: json.dumps(values).encode()}
    files[MANIFEST] = _manifest(step, config_hash, files)
    size = sum(map(len, files.values()))
    _require_space(run, size)
    temporary = run.checkpoints / f".tmp-{target.name}-{os.getpid()}"
    try:
        _write_folder(temporary, files)
        temporary.rename(target)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(run.checkpoints)
    try:
        _verify(target)
    except _DamagedError as error:
        raise RunDirError(f"checkpoint {target} does not read back as written ({error}); check the disk") from None
    return CheckpointSaved(
        step=step, path=str(target), size_mb=size / _MEGABYTE, seconds=round(time.monotonic() - started, 3)
    )


def find_latest(run: RunDir, on_rejected: Callable[[CheckpointRejected], None]) -> Found | None:
    """The newest checkpoint that is whole, None if there is none.

    A damaged one is renamed ``.bad-step_...``, told to ``on_rejected``, and the one before it is tried. Raises
    ``RunDirError`` for one that a newer version wrote.
    """
    for step, path in sorted(_all(run), reverse=True):
        try:
            return _verify(path)
        except _DamagedError as error:
            kept = _set_aside(path)
            on_rejected(CheckpointRejected(step=step, path=str(kept), reason=str(error)))
    return None


def load(found: Found) -> Snapshot:
    """Read a checkpoint's tensors (on the CPU) and values. Raises ``RunDirError``."""
    from safetensors.torch import load as tensors_from

    values = read_values(found)
    try:
        tensors = tensors_from((found.path / TENSORS).read_bytes())
    except OSError as error:
        raise RunDirError(f"checkpoint {found.path} cannot be read: {error}") from error
    return Snapshot(found.step, found.config_hash, tensors, values)


def read_values(found: Found) -> dict[str, Any]:
    """Only the values of a checkpoint, without torch. Raises ``RunDirError``."""
    try:
        values: dict[str, Any] = json.loads((found.path / VALUES).read_bytes())
    except (OSError, ValueError) as error:
        raise RunDirError(f"checkpoint {found.path} cannot be read: {error}") from error
    return values


def load_latest(run: RunDir, on_rejected: Callable[[CheckpointRejected], None]) -> Snapshot:
    """The newest valid checkpoint, read. Raises ``RunDirError`` if there is none."""
    found = find_latest(run, on_rejected)
    if found is None:
        raise RunDirError(f"run '{run.name}' has no valid checkpoint; start a new run from its config.toml")
    return load(found)


def retain(run: RunDir, keep: int, protected: Iterable[int] = ()) -> None:
    """Delete all but the newest ``keep`` checkpoints and the ``protected`` steps. Each goes at once or not at all."""
    ordered = sorted(_all(run), reverse=True)
    for step, path in ordered[keep:]:
        if step not in set(protected):
            doomed = path.with_name(f".del-{path.name}-{os.getpid()}")
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def clean(run: RunDir) -> None:
    """Remove what an earlier worker left half written or half deleted. Only under the run's lock."""
    run.checkpoints.mkdir(mode=0o700, exist_ok=True)
    for pattern in (".tmp-*", ".del-*"):
        for path in run.checkpoints.glob(pattern):
            shutil.rmtree(path, ignore_errors=True)


def _all(run: RunDir) -> list[tuple[int, Path]]:
    with contextlib.suppress(FileNotFoundError):
        return [(int(match[1]), path) for path in run.checkpoints.iterdir() if (match := _NAME.match(path.name))]
    return []


def _tensor_bytes(tensors: Mapping[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save as bytes_from

    # Our own write of these bytes reports a full disk as OSError; the library's save_file does not.
    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        plain[name] = tensor.detach().cpu().contiguous()
        if (pointer := plain[name].untyped_storage().data_ptr()) in seen:  # shared storage is refused by the format
            plain[name] = plain[name].clone()
        seen.add(pointer)
    data: bytes = bytes_from(plain)
    return data


def _manifest(step: int, config_hash: str, files: Mapping[str, bytes]) -> bytes:
    content = {
        "schema_version": SCHEMA_VERSION,
        "step": step,
        "config_hash": config_hash,
        "files": {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()},
    }
    return _sealed(content)


def _sealed(content: Mapping[str, Any]) -> bytes:
    plain = {key: value for key, value in content.items() if key != "seal"}
    return json.dumps({**plain, "seal": _sha256(json.dumps(plain).encode())}, indent=1).encode()


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, data in files.items():
        write_synced(folder / name, data)
    sync_folder(folder)


def _require_space(run: RunDir, size: int) -> None:
    free = shutil.disk_usage(run.checkpoints).free
    if free < 2 * size:
        message = f"a checkpoint needs {2 * size / _MEGABYTE:.1f} MB free, there are {free / _MEGABYTE:.1f} MB"
        raise OSError(errno.ENOSPC, message, str(run.checkpoints))


def _verify(path: Path) -> Found:
    manifest = _read_manifest(path)
    for name, entry in manifest["files"].items():
        try:
            with (path / name).open("rb") as file:
                size, digest = os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _DamagedError(f"{name}: {error.strerror}") from None
        if size != entry["size"]:
            raise _DamagedError(f"{name} has {size} bytes instead of {entry['size']}")
        if digest != entry["sha256"]:
            raise _DamagedError(f"{name} does not match its checksum")
    return Found(manifest["step"], path, manifest["config_hash"])


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        raw = (path / MANIFEST).read_bytes()
        manifest = json.loads(raw)
    except OSError as error:
        raise _DamagedError(f"{MANIFEST}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _DamagedError(f"{MANIFEST} is not JSON") from None
    if not isinstance(manifest, dict) or _sealed(manifest) != raw:
        raise _DamagedError(f"{MANIFEST} does not match its own checksum")
    if manifest["schema_version"] != SCHEMA_VERSION:
        version = manifest["schema_version"]
        raise RunDirError(f"{path} was written by a newer version (format {version}); resume with that version")
    if set(manifest["files"]) != {TENSORS, VALUES}:
        raise _DamagedError(f"{MANIFEST} names other files than it should")
    if path.name != f"step_{manifest['step']:06d}":
        raise _DamagedError(f"{MANIFEST} is that of step {manifest['step']}")
    return manifest


def _set_aside(path: Path) -> Path:
    number, kept = 1, path.with_name(f".bad-{path.name}")
    while kept.exists():
        number += 1
        kept = path.with_name(f".bad-{path.name}-{number}")
    return path.rename(kept)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
