"""Train from scratch an architecture that a search proposed: a run of a later stage."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from harness.execute import WallLimit, checkpoint_file, open_problem, wall_limit, without_harness
from harness.outcome import Result, printable
from harness.spec import RowSpec, RunSpec


def retrain(
    row: RowSpec,
    run: RunSpec,
    checkpoints: Path | None = None,
    report: Callable[[float], None] | None = None,
    started: Callable[[], None] = lambda: None,
) -> Result:
    """Train ``run.arch`` with the row's settings; resume from the checkpoint of a killed training.

    The score named ``test`` or ``valid``, by the split, is the accuracy after the last epoch. ``best`` is that of the best
    epoch, chosen on the same images; ``top5`` and ``loss`` are the top-5 accuracy and the cross entropy on them after the last
    epoch. Language models also have ``perplexity``, on the text of the split, and ``valid_perplexity``.

    A fault becomes a status, never an exception.

    Raises:
        UserError: the benchmark's data changed since the plan was made.
    """
    problem = open_problem(row)
    assert problem.retraining is not None, "only a benchmark that trains from scratch has such rows"
    file = checkpoint_file(checkpoints, run) if checkpoints else None
    result = Result(run.run_id, "done", run.arch)
    started()
    start = time.perf_counter()
    try:
        with wall_limit(row.wall_limit_s):
            trained = problem.retraining.train(
                problem.space.from_str(run.arch),
                row.settings,
                run.world_seed,
                row.device,
                file.load_training() if file else None,
                file.save_training if file else lambda _: None,
                report or (lambda _: None),
            )
    except WallLimit:
        result.status = "timeout"
        result.error = f"still training after {row.wall_limit_s:g} s of real time, the limit of {row.protocol}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        result.status, result.error = "failed", printable(without_harness(error))
    else:
        sizes = {"parameters": trained.parameters, "macs": trained.macs}
        missing = dict.fromkeys(("valid", "test", "regret", "rank"), math.nan)
        more = {"best": trained.best, "top5": trained.top5, "loss": trained.loss, **sizes}
        if problem.retraining.metric == "perplexity":
            more |= {"perplexity": math.exp(trained.loss), "valid_perplexity": trained.valid_perplexity}
        scores = {**missing, row.settings["split"]: trained.accuracy, **more}
        result.scores = {row.settings["data"]: scores}
        result.trace = dict(trained.curve)
        result.spent = {"queries": 0, **trained.spent}
    result.wall_seconds = time.perf_counter() - start
    return result
