"""Changes what every later tensor of its process would be."""

from dataclasses import dataclass

from harness.view import SearchView


@dataclass(frozen=True)
class Bad:
    """Changes what every later tensor of its process would be."""

    reference = "none"

    def search(self, view: SearchView) -> None:
        import torch

        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.manual_seed(0)
        view.query(view.space.sample(view.rng))
