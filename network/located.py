"""A YAML document with the line of each of its parts, so that every fault can say where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from network.sitecheck import Location, nearest


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a file: where, which field, what was written and what is allowed."""

    where: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.text}"


class NotYaml(Exception):
    """The text is no YAML mapping at all."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


class Located:
    """The parsed `document` of a file named `source`. Raises NotYaml."""

    def __init__(self, text: str, source: str, *, columns: bool = False) -> None:
        self.source, self._columns = source, columns
        self._root: Any = None
        try:
            # The loader in Python: libyaml's is faster, and a file nested deeply enough ends the process.
            loader = yaml.SafeLoader(text)
            self._root = loader.get_single_node()
            self.document: Any = loader.construct_document(self._root) if self._root else None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            column = f":{error.problem_mark.column + 1}" if columns and error.problem_mark else ""
            raise NotYaml(Fault(f"{source}:{line}{column}", "yaml", str(error.problem))) from None
        except yaml.YAMLError as error:
            raise NotYaml(Fault(f"{source}:1", "yaml", str(error))) from None
        except RecursionError:
            raise NotYaml(Fault(f"{source}:1", "yaml", "it is nested too deeply")) from None
        except ValueError as error:  # a scalar that looks like a date or a number and is none
            raise NotYaml(Fault(f"{source}:{_unreadable(self._root)}", "yaml", str(error))) from None
        if not isinstance(self.document, dict):
            raise NotYaml(Fault(f"{source}:1", "yaml", "a mapping of keys to values is expected"))

    def fault(self, location: Location, reason: str) -> Fault:
        """A fault at a place in the document, with its line (and its column, where columns are wanted)."""
        field = ".".join(str(part) for part in location) or "file"
        mark = self._mark(location)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return Fault(f"{self.source}:{line}{f':{column}' if self._columns else ''}", field, reason)

    def _mark(self, location: Location) -> Any:
        """Where the deepest part of a location that is there begins."""
        node, mark = self._root, None
        for part in location:
            child = _child(node, part)
            if child is None:
                break
            node, mark = child
        return mark


def _unreadable(node: Any) -> int:
    """The line of the first scalar that YAML cannot make a value of; 1 when there is none."""
    for scalar in _scalars(node):
        try:
            yaml.SafeLoader("").construct_document(scalar)
        except ValueError:
            return int(scalar.start_mark.line) + 1
    return 1


def _scalars(root: Any) -> Iterator[Any]:
    """Every scalar of a document, each once: an anchor may be used in many places, and inside itself."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark
    return None


def reason(error: Any, schema: Callable[[], Mapping[str, Any]]) -> str:
    """A pydantic error in the user's words: what was written, what is allowed, the nearest name."""
    if error["type"] == "extra_forbidden":
        keys = _keys_at(error["loc"][:-1], schema())
        return f"unknown key {error['loc'][-1]!r}; {nearest(str(error['loc'][-1]), keys)}"
    if error["type"] == "missing":
        return f"the key {error['loc'][-1]!r} is missing"
    if error["type"] == "literal_error":
        allowed = [word.strip().strip("'") for word in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"{error['input']!r} is not allowed; {nearest(str(error['input']), allowed)}"
    return f"{error['input']!r}: {error['msg']}" if not isinstance(error["input"], dict) else str(error["msg"])


def _keys_at(location: Location, schema: Mapping[str, Any]) -> list[str]:
    """The keys that a schema allows at a place, read from the schema itself."""
    node: Any = schema
    for part in location:
        node = _resolve(node, schema)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return list(_resolve(node, schema).get("properties", {}))


def _resolve(node: Any, schema: Any) -> Any:
    for choice in [node, *node.get("anyOf", [])]:
        if "$ref" in choice:
            return schema["$defs"][choice["$ref"].rsplit("/", 1)[1]]
    return node
