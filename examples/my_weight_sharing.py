# Your own weight-sharing method: it trains the weights of a supernet and the parameters of the architecture in turn.
import random
from dataclasses import dataclass
from typing import Annotated

from harness.view import SearchView


@dataclass(frozen=True)
class MyWeightSharing:
    """Minimises the training loss by the weights and the validation loss by a softmax over operations."""

    epochs: Annotated[int, "passes over the training images"] = 10
    batch: Annotated[int, "images per step"] = 64
    lr: Annotated[float, "learning rate of the weights"] = 0.025
    arch_lr: Annotated[float, "learning rate of the architecture's parameters"] = 0.01
    kind = "one-shot"  # it trains through view.task; see harness/weight_sharing.py
    proposes = "self"  # it calls view.propose
    reference = "my paper"

    def search(self, view: SearchView) -> None:
        import torch  # here, so that --list does not wait for it
        import torch.nn.functional as F

        task = view.task
        supernet = task.supernet()
        tables = [torch.zeros(d.rows, len(d.options), device=task.device, requires_grad=True) for d in supernet.decisions]
        of_weights = torch.optim.SGD(supernet.module.parameters(), self.lr, momentum=0.9, weight_decay=3e-4)
        of_tables = torch.optim.Adam(tables, self.arch_lr)
        for epoch in view.epochs(self.epochs):  # or as many as the budget pays for
            for train, valid in task.pairs(self.batch, epoch):
                for optimizer, (images, labels) in ((of_tables, valid), (of_weights, train)):
                    optimizer.zero_grad()
                    probabilities = [table.softmax(-1) for table in tables]
                    F.cross_entropy(supernet(images, probabilities), labels).backward()
                    optimizer.step()
            view.propose(supernet.derive(tables, random.Random(view.seed("ties"))))
            view.log(epoch=epoch + 1)
