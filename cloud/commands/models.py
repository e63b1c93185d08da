"""`dewline-cloud models`: shows models and decisions, exports models, makes the signing key."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloud.commands.arguments import Verbs, add_json, add_noun, add_verb
from cloud.commands.printing import print_table
from cloud.composition.registry import key_path, open_registry, open_signer
from cloud.config import CloudConfig
from cloud.expectation import sentences
from cloud.instants import shown_instant
from cloud.registry import AliasRow, DecisionRow, ModelRow
from cloud.training.mlflow import mlflow_files
from contract.errors import ConfigError
from models.bundle import unpack
from models.signing import Signer

__all__ = ["register"]

_MODELS = ("condition", "counter", "model", "version", "family", "created", "bytes", "sha256")
_EXPECTED = ("condition", "version", "warn_at", "what to expect")
_ALIASES = ("condition", "alias", "from", "model", "version")
_DECISIONS = ("cycle", "condition", "candidate", "skill", "low", "high", "decision", "reason")


def register(nouns: Verbs) -> None:
    """Adds the noun and its verbs."""
    verbs = add_noun(
        nouns, "models", "Show and export models, show decisions, make the signing key."
    )
    about = "Show the models, what to expect of their warnings, their aliases and the decisions."
    add_json(add_verb(verbs, "show", about, "models show --json", _show))
    about = "Write a model as a folder in MLflow's format."
    example = "models export frost 20130401t0000-blend --out frost"
    export = add_verb(verbs, "export", about, example, _export)
    export.add_argument("model", metavar="MODEL", help="name of the model")
    export.add_argument("version", metavar="VERSION", help="version of the model")
    export.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    about = "Make the signing key unless it exists; print its public key for the gateways."
    add_verb(verbs, "key", about, "models key > dewline.pem", _key)


def _key(args: argparse.Namespace, config: CloudConfig) -> int:
    del args
    path = key_path(config)
    if path.exists():
        print(f"{path} exists already and was not changed", file=sys.stderr)
    else:
        Signer.generate().save(path)
        print(f"created {path}: keep it secret, and keep a copy", file=sys.stderr)
    print(Signer.load(path).public_pem().strip())
    return 0


def _export(args: argparse.Namespace, config: CloudConfig) -> int:
    registry = open_registry(config)
    row = registry.find(args.model, args.version)
    if row is None:
        raise ConfigError(
            f"the registry has no version {args.version} of {args.model}: see models show"
        )
    folder: Path = args.out
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--out {folder}: expected a new or empty folder")
    bundle = unpack(registry.bundle_bytes(row.sha256), open_signer(config).trusted())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in mlflow_files(bundle, row.sha256).items():
            (folder / name).write_bytes(data)
    except OSError as error:
        raise ConfigError(f"--out {folder} cannot be written: {error}") from error
    print(f"{row.model} {row.version} in {folder}")
    return 0


def _show(args: argparse.Namespace, config: CloudConfig) -> int:
    registry = open_registry(config)
    models, aliases, decisions = registry.models(), registry.aliases(), registry.decisions()
    if args.json:
        document = {
            "models": [_json(row) for row in models],
            "aliases": [_json(row) for row in aliases],
            "decisions": [_json(row) for row in decisions],
        }
        print(json.dumps(document, indent=2, allow_nan=False))
        return 0
    print_table(_MODELS, [_model_cells(row) for row in models])
    if expected := [cells for row in models for cells in _expected_cells(row)]:
        print()
        print_table(_EXPECTED, expected)
    print()
    print_table(_ALIASES, [_alias_cells(row) for row in aliases])
    print()
    print_table(_DECISIONS, [_decision_cells(row) for row in decisions])
    return 0


def _json(row: ModelRow | AliasRow | DecisionRow) -> dict[str, Any]:
    table = asdict(row)
    instants = ("created_at", "trained_from", "trained_to", "from_at", "cycle_at")
    table |= {name: shown_instant(table[name]) for name in instants if name in table}
    if isinstance(row, ModelRow):
        table["parameters"] = json.loads(row.parameters)
    return table


def _model_cells(row: ModelRow) -> list[str | int]:
    named = [row.model, row.version, row.family, shown_instant(row.created_at)]
    return [row.condition_id, row.counter, *named, row.size_bytes, row.sha256[:12]]


def _expected_cells(row: ModelRow) -> list[list[str | int]]:
    """Returns one row of the table, or none if no window was judged."""
    found = row.expectation
    if found is None:
        return []
    return [[row.condition_id, row.version, f"{found.warn_at:g}", " ".join(sentences(found))]]


def _alias_cells(row: AliasRow) -> list[str | int]:
    return [row.condition_id, row.alias.value, shown_instant(row.from_at), row.model, row.version]


def _decision_cells(row: DecisionRow) -> list[str | int]:
    figures = [_figure(value) for value in (row.skill, row.skill_low, row.skill_high)]
    named = [shown_instant(row.cycle_at), row.condition_id, row.candidate or "-"]
    return [*named, *figures, row.decision, row.reason]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"
