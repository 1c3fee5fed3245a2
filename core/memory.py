"""Recognising that memory ran out, and giving back what can be given back before a smaller try."""

from __future__ import annotations

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on a GPU or on the CPU, by type or by the words of the several allocators."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    marks = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "DefaultCPUAllocator", "can't allocate memory")
    return any(mark in text for mark in marks)


def release_memory() -> None:
    """Return cached blocks to the GPU. Call it outside the except block: its traceback keeps tensors alive."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
