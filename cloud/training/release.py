"""Packs a trained model as a signed bundle with lineage and golden vectors, and records it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloud.expectation import Expectation, sentences
from cloud.registry import ModelRow, Registry
from cloud.training.boosting import SEED, TREES, BlendModel
from cloud.training.export import PARITY_ROWS, check_parity
from cloud.training.history import History
from cloud.training.learners import CLIP, LOGIT_WEIGHT, REGULARISATION
from cloud.training.walk import Trained
from contract.errors import DewlineError
from models.bundle import Bundle, Family, Golden, Lineage, Manifest, pack
from models.conditions import MODEL_INPUTS, Condition, inputs_of
from models.features import FEATURE_NAMES, FEATURES_VERSION, LAGS, features
from models.inference import Inference
from models.signing import Signer

__all__ = ["MIN_EXAMPLES", "Provenance", "Publisher", "TooFewGolden", "releasable", "version_of"]

Export = Callable[[Trained], bytes]
MIN_EXAMPLES = PARITY_ROWS
_EXPECT = "\n## What to expect\n\n"
_GOLDEN_ROWS = (32, 64)
_SEED = SEED  # of trees and of the skill's bootstrap; logistic regressions are not random


class TooFewGolden(DewlineError):
    """There are too few windows for golden vectors, the answers that a gateway checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Origin of a model.

    Attributes:
        cycle_at: Instant of the cycle, ms since 1970 UTC.
        dataset_version: Version of the lake's table.
        code_version: Version of this program.
    """

    cycle_at: int
    dataset_version: str
    code_version: str


def version_of(cycle_at: int, family: str) -> str:
    """Return the version of a cycle's model, such as `20260401t0000-baseline`.

    Args:
        cycle_at: Instant of the cycle, ms since 1970 UTC.
        family: Family of the model.
    """
    at = datetime.fromtimestamp(cycle_at / 1000, tz=UTC)
    return f"{at:%Y%m%dt%H%M}-{family}"


def releasable(examples: History) -> bool:
    """Return whether there are enough windows for the export gate and for golden vectors."""
    return len(examples) >= MIN_EXAMPLES and len(_with_grids(examples)) >= _GOLDEN_ROWS[0]


def _with_grids(examples: History) -> NDArray[np.int64]:
    return np.flatnonzero(~np.isnan(examples.grids).all(axis=1))


class Publisher:
    """Makes bundles and records them.

    Args:
        registry: Registry that stores the bundles.
        signer: Signer of the bundles.
        export: Function that converts a trained model to ONNX bytes.
    """

    def __init__(self, registry: Registry, signer: Signer, export: Export) -> None:
        self._registry = registry
        self._signer = signer
        self._export = export

    def publish(
        self,
        condition: Condition,
        family: str,
        trained: Trained,
        examples: History,
        provenance: Provenance,
        found: Expectation | None = None,
    ) -> ModelRow:
        """Pack and record a model. If an interrupted cycle has recorded it, return that row.

        `found` is what you can expect of its warnings; None if it was not judged.

        Raises:
            ParityError: The export differs from the trained model; nothing is recorded.
            TooFewGolden: Too few windows for golden vectors; nothing is recorded.
            DewlineError: Registry or warehouse failed; call again.
        """
        known = self._registry.find(condition.id, version_of(provenance.cycle_at, family))
        if known is not None:
            return known
        model = self._export(trained)
        parity = check_parity(trained, model, examples.features)
        counter = self._registry.next_counter(condition.id)
        lineage = _lineage(examples, provenance, _parameters(family, trained))
        manifest = _manifest(condition, family, provenance.cycle_at, counter, lineage)
        golden = golden_of(condition, examples, Inference(model))
        card = _card(manifest, len(examples), parity) + _expect(found)
        data = pack(manifest, model, golden, card, self._signer)
        row = _row(manifest, examples, self._registry.put(data), len(data), parity)
        row = replace(row, **_cells(found))
        self._registry.record(row)
        return row

    def reissue(
        self, row: ModelRow, bundle: Bundle, provenance: Provenance, found: Expectation
    ) -> ModelRow:
        """Pack and record a withdrawn model again, unchanged but for version and counter.

        A gateway refuses a counter that is not higher than that of the baseline it runs now, so
        the earlier bundle itself cannot be installed again.

        Args:
            row: The withdrawn version.
            bundle: Its verified bundle.
            provenance: The cycle in which it returns.
            found: What you can expect of its warnings.

        Raises:
            DewlineError: Registry or warehouse failed; call again.
        """
        version = version_of(provenance.cycle_at, row.family)
        known = self._registry.find(row.model, version)
        if known is not None:
            return known
        text = json.dumps(json.loads(row.parameters) | {"returned": row.version}, sort_keys=True)
        changes: dict[str, Any] = {
            "version": version,
            "counter": self._registry.next_counter(row.condition_id),
            "created_at": provenance.cycle_at,
        }
        lineage = replace(bundle.manifest.lineage, parameters=text)
        manifest = replace(bundle.manifest, lineage=lineage, **changes)
        card = _card_again(bundle, manifest) + _expect(found)
        data = pack(manifest, bundle.model, bundle.golden, card, self._signer)
        sha256 = self._registry.put(data)
        changes |= {"parameters": text, "sha256": sha256, "size_bytes": len(data)}
        again = replace(row, **changes, **_cells(found))
        self._registry.record(again)
        return again


def _manifest(
    condition: Condition, family: str, cycle_at: int, counter: int, lineage: Lineage
) -> Manifest:
    return Manifest(
        model=condition.id,
        version=version_of(cycle_at, family),
        family=Family(family),
        condition=condition,
        horizon_s=condition.horizon_s,
        features_version=FEATURES_VERSION,
        feature_names=FEATURE_NAMES,
        counter=counter,
        created_at=cycle_at,
        lineage=lineage,
    )


def _lineage(examples: History, provenance: Provenance, parameters: str) -> Lineage:
    return Lineage(
        dataset_version=provenance.dataset_version,
        code_version=provenance.code_version,
        trained_from=_iso(int(examples.begins_ms.min())),
        trained_to=_iso(int(examples.begins_ms.max())),
        parameters=parameters,
        seed=str(_SEED),
    )


def _parameters(family: str, trained: Trained) -> str:
    found = {
        "regularisation": None if family == Family.BASELINE.value else REGULARISATION,
        "logit_weight": LOGIT_WEIGHT,
        "clip": CLIP,
    }
    if isinstance(trained, BlendModel):
        found |= {"trees_weight": trained.weight, **(TREES if trained.boosted else {})}
    return json.dumps(found, sort_keys=True)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat()


def golden_of(condition: Condition, examples: History, inference: Inference) -> Golden:
    """Return windows spread over the history, with the exported model's answers.

    Raises:
        TooFewGolden: There are too few windows.
    """
    fewest, most = _GOLDEN_ROWS
    kept = _with_grids(examples)
    if len(kept) < fewest:
        raise TooFewGolden(f"{condition.id}: {len(kept)} windows for golden vectors, need {fewest}")
    chosen = kept[np.unique(np.linspace(0, len(kept) - 1, most).astype(np.int64))]
    grids, at_ms = (
        examples.grids[chosen].reshape(-1, len(MODEL_INPUTS), LAGS),
        examples.at_ms[chosen],
    )
    made: NDArray[np.float64] = features(grids, at_ms, condition).values
    return Golden(
        grids=grids, at_ms=at_ms, features=made, probabilities=inference.probability(made)
    )


def _row(
    manifest: Manifest, examples: History, sha256: str, size_bytes: int, parity: float
) -> ModelRow:
    return ModelRow(
        model=manifest.model,
        version=manifest.version,
        condition_id=manifest.condition.id,
        family=manifest.family.value,
        counter=manifest.counter,
        created_at=manifest.created_at,
        trained_from=int(examples.begins_ms.min()),
        trained_to=int(examples.begins_ms.max()),
        dataset_version=manifest.lineage.dataset_version,
        code_version=manifest.lineage.code_version,
        parameters=manifest.lineage.parameters,
        seed=_SEED,
        sha256=sha256,
        size_bytes=size_bytes,
        parity_max=parity,
    )


def _cells(found: Expectation | None) -> dict[str, Any]:
    """Return the fields of a `ModelRow` for an expectation; None clears those of another one."""
    empty = dict.fromkeys(field.name for field in fields(Expectation))
    return empty if found is None else asdict(found)


def _expect(found: Expectation | None) -> str:
    """Return the card's last section."""
    if found is None:
        return f"{_EXPECT}No window was judged yet, so there are no figures.\n"
    listed = "".join(f"- {sentence}\n" for sentence in sentences(found))
    return (
        f"{_EXPECT}A forecast of {found.warn_at:g} or more raises a warning. Counted on the weeks "
        f"that judged this model:\n\n{listed}"
    )


def _inputs(condition: Condition) -> list[str]:
    """Return the declared inputs."""
    pairs = zip(MODEL_INPUTS, inputs_of(condition), strict=True)
    return [quantity.value for quantity, signal in pairs if signal is not None]


def _card(manifest: Manifest, windows_total: int, parity: float) -> str:
    hours = manifest.horizon_s / 3600
    lineage = manifest.lineage
    return (
        f"# {manifest.model} {manifest.version}\n\n"
        f"Forecasts the probability that condition `{manifest.condition.id}` becomes true within "
        f"{hours:g} h, while it is false now. Family: {manifest.family}.\n\n"
        f"- Trained on {windows_total} windows, {lineage.trained_from} to {lineage.trained_to}, "
        f"data version {lineage.dataset_version}, program {lineage.code_version}.\n"
        f"- The ONNX file differs from the trained model by at most {parity:.1g}.\n"
        f"- Input: {', '.join(_inputs(manifest.condition))} of the past day, and the hour in UTC. "
        "The model does not know the season or other sites. Weather unlike its training data may "
        "give poor forecasts.\n"
        "- If values of the window are missing, no forecast is made.\n"
    )


def _card_again(bundle: Bundle, manifest: Manifest) -> str:
    """Return the card of a bundle under its new version."""
    earlier = bundle.manifest.version
    _, _, text = bundle.card.partition(_EXPECT)[0].partition("\n")
    return (
        f"# {manifest.model} {manifest.version}\n{text}"
        f"- This is the model of version {earlier}. It was withdrawn, and returned to service at "
        f"{_iso(manifest.created_at)} without new training.\n"
    )
