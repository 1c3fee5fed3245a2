"""The policy: one frozen base, adapters for actor and critic, and the reference, which is the base with adapters off.

B = rows, S = sequence, T = response tokens, N = response tokens that count, h = hidden size, F = critic features.
In ``full`` mode every weight trains in float32, the reference is a frozen copy and an ``adapter`` critic is a trunk of
its own. Only one adapter is ever active; a backward pass must end before the next pass switches, because a
checkpointed backward recomputes with whatever is active then.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from .attention import use_float32_attention
from .batch import TokenBatch
from .config import ModelConfig
from .critic import FeatureCritic, ValueHead, feature_width, make_features
from .errors import ModelError
from .logprobs import HeadOptions, chosen_logprobs, response_index, scatter_tokens, stop_positions
from .lora import with_adapters
from .model import Tokenizer, head_of, hidden_size, layers_of, max_positions, trunk_of
from .passes import ActorPass, ReferencePass, hidden_states, middle_states, no_states, states_before_responses

CriticKind = Literal["adapter", "shared", "features", "none"]


class Policy:
    """A model in training with everything that is measured of it. Built by ``make_policy``."""

    def __init__(
        self,
        model: nn.Module,
        reference: nn.Module | None,
        critic_trunk: nn.Module | None,
        critic: nn.Module | None,
        tokenizer: Tokenizer,
        *,
        critic_kind: CriticKind,
        options: HeadOptions,
        min_new_tokens: int,
        max_new_tokens: int,
        compute: torch.dtype,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.options = options
        self.critic_kind = critic_kind
        self.min_new_tokens = min_new_tokens
        self.max_new_tokens = max_new_tokens
        self._reference = reference
        self._critic_trunk = critic_trunk
        self._critic = critic
        self._compute = compute
        self._causal_lm: nn.Module = cast("Any", model).get_base_model() if reference is None else model
        self._adapter_layers: list[Any] = [m for m in model.modules() if hasattr(m, "lora_A")]
        self._active: Literal["actor", "critic", "unset"] | None = "unset"
        self._actor = _trainable(model, "critic", excluded=True)
        self._value = {} if critic is None else {f"head.{n}": p for n, p in critic.named_parameters()}
        if critic_trunk is not None:
            self._value |= {f"trunk.{n}": p for n, p in critic_trunk.named_parameters()}
        elif critic_kind == "adapter":
            self._value |= _trainable(model, "critic", excluded=False)
        for parameter in (*self._actor.values(), *self._value.values()):
            parameter.requires_grad_(True)

    @property
    def device(self) -> torch.device:
        return next(self._causal_lm.parameters()).device

    @property
    def trunk(self) -> nn.Module:
        """The decoder that is sampled from, with whatever adapter is active."""
        return trunk_of(self._causal_lm)

    @property
    def head(self) -> nn.Module:
        return head_of(self._causal_lm)

    @property
    def precision(self) -> torch.dtype:
        """The coarser of the arithmetic's and the base weights' types."""
        weight = cast("Tensor", self.head.weight).dtype
        return torch.bfloat16 if torch.bfloat16 in {self._compute, weight} else torch.float32

    @property
    def positions(self) -> int:
        """Longest sequence the model can read."""
        return max_positions(self._causal_lm)

    def actor_parameters(self) -> dict[str, nn.Parameter]:
        return self._actor

    def critic_parameters(self) -> dict[str, nn.Parameter]:
        return self._value

    def trained_tensors(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by a stable name."""
        return {f"actor.{n}": p.data for n, p in self._actor.items()} | {
            f"critic.{n}": p.data for n, p in self._value.items()
        }

    @torch.no_grad()
    def load_trained(self, tensors: dict[str, Tensor]) -> None:
        """Copy trained tensors in. Raises ``ModelError`` unless names and shapes are exactly those of this policy."""
        own = self.trained_tensors()
        if own.keys() != tensors.keys():
            difference = sorted(own.keys() ^ tensors.keys())
            raise ModelError(f"the checkpoint holds other tensors than this model trains, for one {difference[0]}")
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                raise ModelError(
                    f"{name} is {tuple(tensors[name].shape)} in the checkpoint, {tuple(tensor.shape)} here"
                )
            tensor.copy_(tensors[name])

    def parameter_counts(self) -> tuple[int, int]:
        """(all, trained) parameters."""
        trained = sum(p.numel() for p in (*self._actor.values(), *self._value.values()))
        frozen = sum(p.numel() for p in self._causal_lm.parameters() if not p.requires_grad)
        return frozen + trained, trained

    def train(self) -> None:
        """Mode of scoring and update passes; with dropout 0 it only matters to gradient checkpointing."""
        for module in (self.model, self._critic_trunk):
            if module is not None and not module.training:
                module.train()

    @contextlib.contextmanager
    def sampling(self) -> Iterator[None]:
        """The actor in eval mode without gradients: train mode with checkpointing would switch the KV cache off."""
        self._activate("actor")
        if self.model.training:
            self.model.eval()
        with torch.no_grad(), self.autocast():
            yield

    @contextlib.contextmanager
    def frozen(self) -> Iterator[nn.Module]:
        """The causal LM that training started from, to be read without gradients; it shares every weight it can.

        Only until the block ends: then mode and adapters are again as they were. Nothing else of the policy may be used
        in between.
        """
        active: Literal["actor", "critic"] | None = "actor" if self._active == "unset" else self._active
        training = self.model.training
        self._activate(None)
        self.model.eval()
        try:
            with torch.no_grad(), self.autocast():
                yield self._causal_lm if self._reference is None else self._reference
        finally:
            self.model.train(training)
            self._activate(active)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._compute == torch.bfloat16)

    def actor_pass(self, batch: TokenBatch, *, entropy: bool = False) -> ActorPass:
        """Log-probs of the responses under the actor, with its ``shared`` value head where there is one."""
        self.train()
        self._activate("actor")
        with self.autocast():
            hidden_BSh = hidden_states(self.trunk, batch)
            logprob_BT, entropy_BT, states_Nh = self._score(self.head, hidden_BSh, batch, entropy=entropy)
            if self.critic_kind != "shared":
                return ActorPass(logprob_BT, entropy_BT, None)
            assert self._critic is not None
            return ActorPass(logprob_BT, entropy_BT, scatter_tokens(self._critic(states_Nh), batch.mask_BT))

    @torch.no_grad()
    def reference_pass(self, batch: TokenBatch) -> ReferencePass:
        """Log-probs of the responses under the frozen starting model, and the features critic's inputs."""
        self._activate(None)
        model = self._causal_lm if self._reference is None else self._reference
        trunk = trunk_of(model)
        with (
            self.autocast(),
            middle_states(layers_of(trunk)) if self.critic_kind == "features" else no_states() as middle,
        ):
            hidden_BSh = hidden_states(trunk, batch)
            logprob_BT, _, _ = self._score(head_of(model), hidden_BSh, batch, entropy=False)
            if middle is None:
                return ReferencePass(logprob_BT, None)
            features = make_features(
                states_before_responses(hidden_BSh, batch),
                states_before_responses(middle[0], batch),
                batch.mask_BT,
                self.max_new_tokens,
            )
            return ReferencePass(logprob_BT, features)

    def critic_pass(self, batch: TokenBatch) -> Tensor:
        """Values (B, T) of the ``adapter`` critic: its own adapter, or its own trunk in full mode."""
        assert self.critic_kind == "adapter"
        assert self._critic is not None
        self.train()
        self._activate("critic")
        with self.autocast():
            hidden_BSh = hidden_states(self._critic_trunk or self.trunk, batch)
            row_N, _, position_N = response_index(batch.mask_BT, batch.start_B)
            return scatter_tokens(self._critic(hidden_BSh[row_N, position_N]), batch.mask_BT)

    def feature_values(self, features_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """Values (B, T) of the ``features`` critic."""
        assert self._critic is not None
        return scatter_tokens(self._critic(features_BTF[mask_BT]), mask_BT)

    def weights_sha256(self) -> str:
        """Hash over name, type, shape and bytes of every trained tensor, in the order of their names."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.trained_tensors().items()):
            array = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
            digest.update(array.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _score(
        self, head: nn.Module, hidden_BSh: Tensor, batch: TokenBatch, *, entropy: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        row_N, column_N, position_N = response_index(batch.mask_BT, batch.start_B)
        states_Nh = hidden_BSh[row_N, position_N]
        scored = chosen_logprobs(
            head,
            states_Nh,
            batch.response_BT[batch.mask_BT],
            self.options,
            banned_N=stop_positions(column_N, self.min_new_tokens),
            entropy=entropy,
        )
        entropy_BT = None if scored.entropy_N is None else scatter_tokens(scored.entropy_N, batch.mask_BT)
        return scatter_tokens(scored.logprob_N, batch.mask_BT), entropy_BT, states_Nh

    def _activate(self, adapter: Literal["actor", "critic"] | None) -> None:
        if self._reference is not None or adapter == self._active:
            return
        for layer in self._adapter_layers:
            layer.enable_adapters(adapter is not None)
            if adapter is not None:
                layer.set_adapter(adapter)
        self._active = adapter
        # peft freezes whichever adapter is not active, silently and for good.
        for parameter in (*self._actor.values(), *self._value.values()):
            parameter.requires_grad_(True)


def make_policy(
    model: nn.Module,
    tokenizer: Tokenizer,
    config: ModelConfig,
    *,
    critic: CriticKind,
    critic_width: int = 512,
    temperature: float = 1.0,
    min_new_tokens: int = 0,
    max_new_tokens: int = 256,
    seed: int = 0,
) -> Policy:
    """A policy on a loaded base: adapters or full copies, value function, head options. Adapter weights come from
    ``seed``; the actor starts out equal to the reference, values start at 0.
    """
    reference: nn.Module | None = None
    critic_trunk: nn.Module | None = None
    device = next(model.parameters()).device
    compute = torch.bfloat16 if config.compute == "bfloat16" else torch.float32
    if device.type == "cpu" and config.attention == "auto" and torch.bfloat16 in {compute, model.dtype}:
        use_float32_attention(model)
    if config.adapter == "lora":
        trained = with_adapters(model, config, seed, critic=critic == "adapter")
    else:
        trained = model.requires_grad_(True)
        reference = copy.deepcopy(model).requires_grad_(False).eval()
        if critic == "adapter":
            critic_trunk = copy.deepcopy(trunk_of(model))
    if config.gradient_checkpointing:
        for module in (model, critic_trunk):
            if module is not None:
                cast("Any", module).activation_checkpointing_enable({"use_reentrant": False})
    policy = Policy(
        trained,
        reference,
        critic_trunk,
        _critic_module(critic, hidden_size(model), critic_width, seed, device),
        tokenizer,
        critic_kind=critic,
        options=HeadOptions(temperature, tokenizer.eos_ids),
        min_new_tokens=min_new_tokens,
        max_new_tokens=max_new_tokens,
        compute=compute,
    )
    trained.train()  # from_pretrained left the base in eval mode, inside a wrapper that says it is in train mode
    policy.train()
    return policy


def _critic_module(kind: CriticKind, hidden: int, width: int, seed: int, device: torch.device) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "features":
        generator = torch.Generator().manual_seed(seed)
        return FeatureCritic(feature_width(hidden), width, generator).to(device)
    return ValueHead(hidden).to(device)


def _trainable(model: nn.Module, adapter: str, *, excluded: bool) -> dict[str, nn.Parameter]:
    """Parameters of an adapter by name, or all trained ones but that adapter's."""
    marker = f".{adapter}."
    peft = hasattr(model, "get_base_model")
    return {
        name: p
        for name, p in model.named_parameters()
        if (not peft or "lora_" in name) and ((marker in name) != excluded)
    }
