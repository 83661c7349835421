"""Stages of the command whose results are kept, so that an interrupted run does not repeat what it has finished."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


def kept(path: Path, identity: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors at ``path`` if a run of the same identity has left them there; else computes and keeps them.

    Raises:
        ValueError: what is there belongs to another run.
    """
    if path.exists():
        state = torch.load(path, weights_only=True)
        if state["identity"] != identity:
            raise ValueError(f"{path} is of another run ({state['identity']}); remove it or choose another --work")
        return state["tensors"]
    tensors = compute()
    write(path, {"identity": identity, "tensors": tensors})
    return tensors


def write(path: Path, state: dict) -> None:
    """Saves atomically: an interrupted write leaves the former file whole."""
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
