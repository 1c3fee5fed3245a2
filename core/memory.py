"""Recognising that memory ran out, and giving back what can be given back before a smaller try."""

from __future__ import annotations

import torch

from .errors import TrainingError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or on the CPU, by type or by the words of the several allocators."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    marks = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "DefaultCPUAllocator", "can't allocate memory")
    return any(mark in text for mark in marks)


def nothing_left(error: BaseException) -> TrainingError:
    """What to say where not even one row fits."""
    return TrainingError(
        f"out of memory with one row per forward pass ({str(error).splitlines()[0]}); shorten rollout.max_new_tokens, "
        "turn on model.gradient_checkpointing, or use model.quantization = 'nf4'"
    )


def release_memory() -> None:
    """Return cached blocks to the GPU. Call it outside the except block: its traceback keeps tensors alive."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
