"""What is judged, and every model that is fitted and judged inside one fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import keras
import numpy as np
import polars as pl

from dc_keras.corpus.pairs import grid_pairs
from dc_keras.corpus.study import Grid
from dc_keras.evaluation.baselines import SimpleData, simple_scores
from dc_keras.evaluation.contenders import (
    Contender,
    list_contenders,
    smaller_supports,
)
from dc_keras.evaluation.fold_signals import FoldSignals
from dc_keras.evaluation.splits import TEST_FRACTION, Fold, split_rows
from dc_keras.evaluation.tables import BAYES, DEEP_CHALLENGER
from dc_keras.models.config import (
    ModelOptions,
    ProtocolOptions,
    SignalOptions,
    TrainingOptions,
)
from dc_keras.signals.combination import fit_combination
from dc_keras.signals.facts import PostFacts
from dc_keras.signals.table import GROUPS, REFERENCE, SignalTable, logit
from dc_keras.training.crossed import Crossed
from dc_keras.training.data import Examples, FeatureTable
from dc_keras.training.loop import predict
from dc_keras.training.participation import (
    baseline_examples,
    deep_challenger_examples,
    fit_baseline,
    fit_crossed_deep_challenger,
    pair_sizes,
    sample_negatives,
)
from dc_keras.training.proxies import (
    ProxyTask,
    Variant,
    available_variants,
    challenge_task,
    fit_proxy,
    proxy_examples,
    side_variants,
    user_task,
)

# The column of what the fusion of videos says.
VIDEOS = "videos/fusion"
_PREDICTIONS = {
    "model": pl.String,
    "part": pl.String,
    "user_id": pl.String,
    "challenge": pl.String,
    "label": pl.Int32,
    "score": pl.Float64,
}


@dataclass(frozen=True)
class Experiment:
    """Data and options of a run.

    Attributes:
        grid: users, challenges, labels, and the videos that each side may see.
        table: cached features of all those videos.
        facts: words, sounds, times and counts of those videos, for simple models.
        model: shape of the models.
        training: how they are fitted.
        protocol: which videos and pairs they see.
        signals: what simple models tell the fusion.
        temporal: a grid of several cutoffs (`corpus.temporal`), for that split.
        truth: true probabilities (num_users, num_challenges) of a simulated world.
        models: rows wanted: `all`, or some of "deepChallenger", "videos_alone",
            "context_alone", "paper_preset", "ablations" (see `contenders`),
            "support_sizes" (how
            deepChallenger does with fewer challenge videos), "proxies", "paper" (its
            four baselines), "simple". `all` leaves ablations and support sizes out.
    """

    grid: Grid
    table: FeatureTable
    facts: PostFacts
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    protocol: ProtocolOptions = field(default_factory=ProtocolOptions)
    signals: SignalOptions = field(default_factory=SignalOptions)
    temporal: Grid | None = None
    truth: np.ndarray | None = None
    models: tuple[str, ...] = ("all",)

    def wants(self, group: str) -> bool:
        """Whether a group of rows is wanted."""
        is_usual = group not in ("ablations", "support_sizes")
        return group in self.models or ("all" in self.models and is_usual)

    def on(self, grid: Grid) -> Experiment:
        """Returns the experiment on another grid of the same corpus."""
        if grid is self.grid:
            return self
        return replace(self, grid=grid, truth=None)

    def contenders(self) -> list[Contender]:
        """Returns the forms of deepChallenger that are wanted."""
        options = (self.models, self.model, self.training, self.signals)
        sources = {"past": self.grid.user_cutoffs, "frames": self.table.vision}
        absent = [group for group, source in sources.items() if not source]
        return list_contenders(*options, absent)

    def config(self) -> dict[str, Any]:
        """Returns what decides the predictions, as plain values."""
        vision = {
            name: {**v.spec, "sampling": dict(v.sampling)}
            for name, v in self.table.vision.items()
        }
        caption = self.table.caption_spec
        truth = None if self.truth is None else self.truth.tobytes()
        return {
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "protocol": self.protocol.to_dict(),
            "models": list(self.models),
            "grid_sha256": self.grid.sha256,
            "temporal_sha256": None if self.temporal is None else self.temporal.sha256,
            "vision": vision,
            "text": None if caption is None else dict(caption),
            "signals": self.signals.to_dict(),
            "facts_sha256": self.facts.sha256,
            "truth_sha256": None if truth is None else sha256(truth).hexdigest(),
        }


class FoldRun:
    """Everything that is fitted inside one fold, on its training rows only.

    Args:
        experiment: data and options.
        fold: which pairs are for training, validation and test.
        seed: number of the repetition, from 0.
        name: of the fold, for what is told.
        tell: called with one line when something is about to be fitted.
    """

    def __init__(
        self,
        experiment: Experiment,
        fold: Fold,
        seed: int,
        name: str,
        tell: Callable[[str], None],
    ) -> None:
        self._name = name
        self._x = experiment
        self._pairs = grid_pairs(experiment.grid)
        self._fold = fold
        self._seed = (experiment.training.seed + seed) * 1000 + fold.index
        self._training = replace(experiment.training, seed=self._seed)
        self._tell_all = tell
        self._fitted: dict[tuple[str, Variant, ModelOptions], keras.Model] = {}
        self._fusions: dict[tuple[ModelOptions, TrainingOptions], Crossed] = {}

    def _tell(self, model: str) -> None:
        self._tell_all(f"{self._name}: {model}")

    def proxy_predictions(self) -> pl.DataFrame:
        """Table I's rows: every variant of both proxies, judged on held-out videos."""
        frames = []
        if self._fold.split == "random_pair" and self._x.wants("proxies"):
            for kind in ("challenge", "user"):
                for variant in available_variants(self._x.table):
                    frames.append(self._judge_proxy(kind, variant))
        return pl.concat(frames) if frames else pl.DataFrame()

    def predictions(self) -> pl.DataFrame:
        """Table II's rows: every validation and test pair's score by each model."""
        scores: dict[str, np.ndarray] = {}
        if self._x.wants("simple"):
            scores |= self._simple_scores()
        if self._x.truth is not None:
            scores[BAYES] = self._x.truth[self._pairs.user, self._pairs.challenge]
        if self._x.wants("paper"):
            scores |= self._paper_baseline_scores()
        for contender in self._x.contenders():
            scores |= self._contender_scores(contender)
        frames = [self._frame(name, s) for name, s in scores.items()]
        return pl.concat([pl.DataFrame(schema=_PREDICTIONS), *frames])

    def _task(self, kind: str) -> ProxyTask:
        grid, hidden = self._x.grid, self._fold.hidden_users
        if kind == "challenge":
            new = self._fold.hidden_challenges
            return challenge_task(grid, self._x.table, hidden, new)
        is_cold = bool(hidden)
        train_users = np.unique(self._pairs.user[self._fold.train])
        everyone = list(range(len(grid.users)))
        use_panel = self._x.protocol.user_classes == "panel" and not is_cold
        return user_task(
            grid, self._x.table, everyone if use_panel else train_users.tolist()
        )

    def _video_split(self, task: ProxyTask) -> tuple[np.ndarray, ...]:
        """Training, validation and test positions of a proxy's videos.

        On `random_pair` the paper's 80/20 holds for videos too; elsewhere the fold
        itself has already hidden what must be hidden, and no video is held out.
        """
        fraction = TEST_FRACTION if self._fold.split == "random_pair" else 0.0
        rest, test = split_rows(len(task.labels), fraction, self._seed)
        kept, valid = split_rows(
            len(rest), self._training.validation_fraction, self._seed
        )
        return rest[kept], rest[valid], test

    def _proxy(self, kind: str, variant: Variant, options: ModelOptions) -> keras.Model:
        key = (kind, variant, options)
        if key not in self._fitted:
            self._tell(f"{kind} proxy, {variant.name}")
            task = self._task(kind)
            train, valid, _ = self._video_split(task)
            self._fitted[key] = fit_proxy(
                task,
                train,
                valid,
                self._x.table,
                variant,
                options,
                self._training,
            )
        return self._fitted[key]

    def _judge_proxy(self, kind: str, variant: Variant) -> pl.DataFrame:
        task = self._task(kind)
        _, _, test = self._video_split(task)
        examples = proxy_examples(task, self._x.table, variant).take(test)
        classes = predict(self._proxy(kind, variant, self._x.model), examples).argmax(
            axis=1
        )
        return pl.DataFrame(
            {
                "kind": kind,
                "variant": variant.name,
                "num_classes": len(task.classes),
                "video_id": [self._x.table.video_ids[r] for r in task.rows[test]],
                "label": task.labels[test],
                "predicted": classes.astype(np.int32),
            }
        )

    @cached_property
    def _signals(self) -> FoldSignals:
        return self._signals_of(self._x.grid, self._x.table)

    def _signals_of(self, grid: Grid, table: FeatureTable) -> FoldSignals:
        captions, frames = table.caption_vectors(), table.frame_vectors()
        facts, fold, seed = self._x.facts, self._fold, self._seed
        return FoldSignals(grid, facts, captions, fold, seed, frames)

    def _simple_scores(self) -> Mapping[str, np.ndarray]:
        signals = self._signals.of_groups((*GROUPS, REFERENCE))
        return simple_scores(SimpleData(self._pairs, self._fold, signals))

    def _paper_baseline_scores(self) -> dict[str, np.ndarray]:
        scores = {}
        for variant in available_variants(self._x.table):
            self._tell(f"baseline {variant.name}")
            examples = baseline_examples(
                self._x.grid,
                self._x.table,
                self._pairs,
                variant,
                self._x.grid.settings["history_max"],
                self._training.class_weight,
            )
            model = fit_baseline(
                examples,
                self._training_rows(),
                self._fold.valid,
                self._x.model,
                self._training,
            )
            scores[variant.name] = predict(model, examples)
        return scores

    def _contender_scores(self, contender: Contender) -> dict[str, np.ndarray]:
        """Fits one form of deepChallenger and scores every pair with it."""
        if not contender.has_videos:
            score = self._fit_combination(contender, None)
            return {contender.name: score(None, self._x.grid, self._x.table)}
        sides = side_variants(self._x.table)
        proxies = {
            side: (self._proxy(side, v, contender.model), v)
            for side, v in sides.items()
        }
        examples = self._pair_examples(contender, proxies, self._x.grid, self._x.table)
        videos = self._fusion(contender, examples)
        score = self._fit_combination(contender, videos)
        told = score(videos.told, self._x.grid, self._x.table)
        scores = {contender.name: told}
        if contender.name == DEEP_CHALLENGER and self._x.wants("support_sizes"):
            for size, grid, table in smaller_supports(self._x.grid, self._x.table):
                width = pair_sizes(examples).support_max
                told = videos.predict(
                    self._pair_examples(contender, proxies, grid, table, width)
                )
                scores[f"{contender.name}, {size}"] = score(told, grid, table)
        return scores

    def _pair_examples(
        self,
        contender: Contender,
        proxies: Mapping[str, tuple[keras.Model, Variant]],
        grid: Grid,
        table: FeatureTable,
        support_size: int | None = None,
    ) -> Examples:
        return deep_challenger_examples(
            grid,
            table,
            self._pairs,
            proxies,
            contender.training.class_weight,
            self._fold.hidden_users,
            support_size,
        )

    def _fusion(self, contender: Contender, examples: Examples) -> Crossed:
        """Fits the fusion of videos once for all contenders that share it."""
        key = (contender.model, contender.training)
        if key not in self._fusions:
            self._tell(f"{contender.name}, fusion")
            has_head = any(
                c.groups and (c.model, c.training) == key for c in self._x.contenders()
            )
            self._fusions[key] = fit_crossed_deep_challenger(
                examples,
                self._training_rows(),
                self._fold.valid,
                self._signals.steps if has_head else (),
                contender.model,
                replace(contender.training, seed=self._seed),
            )
        return self._fusions[key]

    def _fit_combination(
        self, contender: Contender, videos: Crossed | None
    ) -> Callable[[np.ndarray | None, Grid, FeatureTable], np.ndarray]:
        """Returns the function from the fusion's probabilities to scores."""
        if not contender.groups:
            return lambda told, *_: np.asarray(told)

        def columns(
            told: np.ndarray | None, grid: Grid, table: FeatureTable
        ) -> SignalTable:
            is_whole = grid is self._x.grid
            signals = self._signals if is_whole else self._signals_of(grid, table)
            found = signals.of_groups(contender.groups)
            return found if told is None else found.with_column(VIDEOS, logit(told))

        self._tell(contender.name)
        told = None if videos is None else videos.out_of_fold
        combination = fit_combination(
            columns(told, self._x.grid, self._x.table),
            self._pairs.label,
            self._fold.train,
        )
        return lambda *seen: combination.predict(columns(*seen))

    def _training_rows(self) -> np.ndarray:
        rule = self._x.protocol.negatives
        return sample_negatives(self._pairs, self._fold.train, rule, self._seed)

    def _frame(self, model: str, scores: np.ndarray) -> pl.DataFrame:
        grid, parts = self._x.grid, []
        for part in ("valid", "test"):
            rows = getattr(self._fold, part)
            parts.append(
                pl.DataFrame(
                    {
                        "model": [model] * len(rows),
                        "part": [part] * len(rows),
                        "user_id": [grid.users[u] for u in self._pairs.user[rows]],
                        "challenge": [
                            grid.challenges[c] for c in self._pairs.challenge[rows]
                        ],
                        "label": self._pairs.label[rows],
                        "score": scores[rows].astype(np.float64),
                    },
                    schema=_PREDICTIONS,
                )
            )
        return pl.concat(parts)
