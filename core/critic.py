"""Value functions: a linear head, and an MLP on cached hidden states of the frozen base.

N = response tokens, h = hidden size. All float32, last layer zero, so V = 0 before the first update.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueHead(nn.Module):
    """Hidden state to value, (N, h) -> (N,)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden_Nh: Tensor) -> Tensor:
        with torch.autocast(hidden_Nh.device.type, enabled=False):
            values: Tensor = self.linear(hidden_Nh.float()).squeeze(-1)
        return values


class FeatureCritic(nn.Module):
    """Cached features of a response token to its value, (N, F) -> (N,); F as ``feature_width`` says.

    The features are the frozen base's last and middle hidden states before the token, the running mean of the last
    layer over the response so far (a judge looks at the whole response), and the position. Its gradients cannot
    disturb the actor, and further epochs over the cache cost next to nothing.
    """

    def __init__(self, features: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.first = nn.Linear(features, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, 1)
        with torch.no_grad():
            for layer in (self.first, self.second):
                bound = layer.in_features**-0.5
                layer.weight.copy_(torch.empty_like(layer.weight).uniform_(-bound, bound, generator=generator))
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features_NF: Tensor) -> Tensor:
        with torch.autocast(features_NF.device.type, enabled=False):
            x = self.norm(features_NF.float())
            x = nn.functional.gelu(self.first(x))
            x = nn.functional.gelu(self.second(x))
            values: Tensor = self.last(x).squeeze(-1)
        return values


def feature_width(hidden: int) -> int:
    """Features per token: last, middle, running mean (h each) and two numbers of position."""
    return 3 * hidden + 2


def make_features(last_BTh: Tensor, middle_BTh: Tensor, mask_BT: Tensor, max_tokens: int) -> Tensor:
    """(B, T, F) features from hidden states before each response token; rows beyond their end hold junk.

    Position enters as the share of the cap used and its logarithm.
    """
    columns_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device, dtype=torch.float32)
    mean_BTh = last_BTh.float().cumsum(dim=1) / columns_T[None, :, None]
    position_T2 = torch.stack([columns_T / max_tokens, columns_T.log() / 8.0], dim=1)
    position_BT2 = position_T2.expand(mask_BT.shape[0], -1, -1)
    return torch.cat([last_BTh.float(), middle_BTh.float(), mean_BTh, position_BT2], dim=2)
