"""Minimiser of the small convex problems: calibration, heads, gate."""

from collections.abc import Callable

import torch
from torch import Tensor


def minimise(parameters: list[Tensor], loss: Callable[[], Tensor]) -> None:
    """Runs L-BFGS with a strong Wolfe line search to convergence, in place."""
    optimiser = torch.optim.LBFGS(parameters, max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(closure)
