"""AdamW over named parameters, with its state by name so that it can be saved without pickle."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import PPOConfig

CLIP_EPS = 1e-6
"""What torch's clipping adds to the norm it divides by."""


class Optimizer:
    """AdamW over one group of parameters; a group may be empty, then nothing ever happens."""

    def __init__(self, name: str, parameters: dict[str, nn.Parameter], config: PPOConfig) -> None:
        self.name = name
        self.parameters = parameters
        self._max_grad_norm = config.max_grad_norm
        self._adamw: torch.optim.AdamW | None = None
        if parameters:
            self._adamw = torch.optim.AdamW(
                list(parameters.values()),
                betas=(config.adam_beta1, config.adam_beta2),
                eps=config.adam_eps,
                weight_decay=config.weight_decay,
                fused=True,
            )

    def set_lr(self, lr: float) -> None:
        for group in self._adamw.param_groups if self._adamw else ():
            group["lr"] = lr

    def grad_norm(self) -> float:
        """Euclidean norm over all gradients, 0 if there are none."""
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        return float(nn.utils.get_total_norm(grads)) if grads else 0.0

    def step(self, norm: float) -> None:
        """Clip gradients of norm ``norm`` and step."""
        if self._adamw is None:
            return
        if 0 < self._max_grad_norm < norm + CLIP_EPS:  # below that the factor is 1
            total = torch.tensor(norm, device=next(iter(self.parameters.values())).device)
            nn.utils.clip_grads_with_norm_(list(self.parameters.values()), self._max_grad_norm, total)
        self._adamw.step()

    def zero_grad(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts as ``optimizer.<group>.<parameter>.<key>``; parameters never stepped have none."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items() if self._adamw else ():
            assert self._adamw is not None
            for key, value in self._adamw.state.get(parameter, {}).items():
                found[f"optimizer.{self.name}.{name}.{key}"] = value
        return found

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put saved state back, on the parameters' device."""
        for name, parameter in self.parameters.items() if self._adamw else ():
            assert self._adamw is not None
            prefix = f"optimizer.{self.name}.{name}."
            saved = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
            self._adamw.state.pop(parameter, None)
            if saved:
                self._adamw.state[parameter] = {key: v.to(parameter.device).clone() for key, v in saved.items()}
