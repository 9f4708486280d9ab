# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""What the documents name exists: links, targets, flags, configuration fields."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor

from tests import documents
from tools.build import build_file, sync_build_files
from tools.lint import workspace
from twhin.config import load, yaml_text
from twhin.config.resolved_config import load_config
from twhin.v1 import train_config_pb2

_ROOT = workspace.root()
_DOCUMENTS = sorted(
    [
        *_ROOT.glob("*.md"),
        *_ROOT.glob("docs/*.md"),
        *_ROOT.glob("examples/**/README.md"),
    ]
)
_TARGET = re.compile(r"//((?:twhin|tools|tests|third_party|examples)[\w/]*):([\w.-]+)")
_FLAG = re.compile(r'flags\.DEFINE_\w+\(\s*"(\w+)"')
_FIELD = re.compile(r"([a-z_0-9]+(?:\.[a-z_0-9]+|\[\d+\])+)(?:[=:].*)?")
_HEREDOC = re.compile(r"<<'YAML'\n((?:.*\n)*?)YAML\n")
# What is a file and no field: training.py.
_SUFFIXES = {"py", "yaml", "proto", "md", "json"}
_CONFIG = load.descriptor_of(train_config_pb2.TrainConfig)

each_document = pytest.mark.parametrize(
    "document", _DOCUMENTS, ids=lambda path: str(path.relative_to(_ROOT))
)


@each_document
def test_links_lead_to_files_and_headings(document: Path) -> None:
    faults = []
    for link in documents.links(document):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if "://" in link:
            continue
        if not target.exists() or (
            anchor and anchor not in documents.anchors(target) | _line_anchors(anchor)
        ):
            faults.append(link)
    assert not faults


@each_document
def test_named_targets_exist(document: Path) -> None:
    named = {
        match for line in documents.code(document) for match in _TARGET.findall(line)
    }

    faults = [
        f"//{package}:{name}"
        for package, name in sorted(named)
        if name not in _targets(_ROOT / package)
        and not (_ROOT / package / name).is_file()
    ]
    assert not faults


@each_document
def test_shown_flags_exist(document: Path) -> None:
    faults = []
    for command in documents.commands(document):
        allowed = _flags(command.name)
        faults += [
            f"{command.name} --{flag}"
            for flag in command.flags
            if flag not in allowed and flag.removeprefix("no") not in allowed
        ]
    assert not faults


@each_document
def test_shown_configurations_load(document: Path, tmp_path: Path) -> None:
    for number, text in enumerate(_yaml_texts(document)):
        tree = yaml_text.parse(text, str(document))
        if isinstance(tree, dict) and "graph" in tree and "data" in tree:
            path = tmp_path / f"{number}.yaml"
            path.write_text(text)
            load_config(path)


@each_document
def test_named_fields_are_in_the_schema(document: Path) -> None:
    faults = []
    for text in documents.code(document):
        match = _FIELD.fullmatch(text)
        if match and not _is_field(match[1]):
            faults.append(match[1])
    assert not faults


def test_checks_see_the_documents() -> None:
    readme = _ROOT / "README.md"

    assert len(_DOCUMENTS) > 10
    assert "docs/architecture.md" in documents.links(readme)
    assert "your-own-edges" in documents.anchors(readme)
    assert documents.Command("train", ("config", "output_dir")) in [
        *documents.commands(readme)
    ]
    assert _yaml_texts(_ROOT / "docs" / "tutorial.md")
    assert {"config", "nnodes", "log_level"} <= _flags("train")
    assert _is_field("evaluation.best_metric")
    assert not _is_field("evaluation.best_metrics")


def _line_anchors(anchor: str) -> set[str]:
    return {anchor} if re.fullmatch(r"L\d+", anchor) else set()


def _targets(package: Path) -> set[str]:
    file = package / "BUILD.bazel"
    if not file.is_file():
        return set()
    return {s.name for s in build_file.parse(file.read_text()) if s.kind}


def _flags(command: str) -> set[str]:
    """Returns the flags of a command: those of its file and of what it imports."""
    folder = _ROOT / "twhin" / "bin"
    path = folder / f"{command}.py"
    waiting = [path if path.is_file() else folder / f"{command}_folder.py"]
    found = {"help"}
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        source = file.read_text()
        found |= set(_FLAG.findall(source))
        for module in sync_build_files.imported_modules(source):
            if module.startswith("twhin.bin."):
                other = folder / f"{module.split('.')[2]}.py"
                waiting += [other] if other.is_file() and other not in seen else []
    return found


def _yaml_texts(document: Path) -> list[str]:
    found = []
    for block in documents.blocks(document):
        found += _HEREDOC.findall(block.text)
        if block.kind == "yaml":
            found.append(block.text)
    return found


def _is_field(path: str) -> bool:
    """Returns whether a path is one of the configuration, or not meant as one."""
    message: Descriptor | None = _CONFIG
    names = re.sub(r"\[\d+\]", "", path).split(".")
    if names[0] not in _CONFIG.fields_by_name or names[-1] in _SUFFIXES:
        return True
    for name in names:
        if message is None or name not in message.fields_by_name:
            return False
        message = message.fields_by_name[name].message_type
    return True
