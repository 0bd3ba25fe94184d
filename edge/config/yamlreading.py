"""YAML from outside: PyYAML's safe loader runs no code, but a few bytes can cost it minutes and gigabytes."""
from typing import Any, NamedTuple, Optional

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from edge.host.reading import reason

MOST_VALUES = 20000  # keys and values; the largest file of ours has 1500
MOST_MERGED = 2000  # keys that `<<` brings
LONGEST_NUMBER = 1000  # characters
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MERGE = "tag:yaml.org,2002:merge"
UNREADABLE = (ValueError, ArithmeticError, AttributeError, LookupError, TypeError)  # impossible dates, !!int of no digits


class NotYaml(ValueError):
    """`line` is 0 where it is not known."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class Document(NamedTuple):
    """None and None for a text without a value."""

    node: Optional[yaml.Node]  # with the places of keys and values
    value: Any


class _Bounded(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._merged = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise ComposerError(None, None, "more than {} keys and values".format(MOST_VALUES), self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_scalar(self, node: Any) -> Any:
        """1:2:3 counts by sixties, so that a long number is slow to read as well."""
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise ConstructorError(None, None, "a number of {} characters".format(len(node.value)), node.start_mark)
        return super().construct_scalar(node)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except UNREADABLE as e:
            if isinstance(e, NotYaml):
                raise
            kind = node.tag.rsplit(":", 1)[-1]
            raise NotYaml("a value cannot be read as {}; quote it if it is a text".format(kind), node.start_mark.line + 1)

    def flatten_mapping(self, node: Any) -> None:
        """`<<` copies the keys of others, which may have copied before: nine lines make a thousand million."""
        merges = [value for key, value in node.value if key.tag == MERGE]
        count = sum(len(value.value) if isinstance(value, yaml.SequenceNode) else 1 for value in merges)
        self._count(count, node)
        super().flatten_mapping(node)
        if merges:
            self._count(len(node.value), node)

    def _count(self, more: int, node: Any) -> None:
        self._merged += more
        if self._merged > MOST_MERGED:
            raise ConstructorError(None, None, "more than {} keys are merged by <<".format(MOST_MERGED), node.start_mark)


def parse_yaml(text: str) -> Document:
    """Raises NotYaml, and nothing else."""
    try:
        loader = _Bounded(text)
        node = loader.get_single_node()
        return Document(node, None if node is None else loader.construct_document(node))
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        problem = getattr(e, "problem", None) or getattr(e, "reason", None) or e
        tab = "; indent with spaces" if "'\\t'" in str(problem) else ""
        raise NotYaml("not YAML: " + " ".join(str(problem).split()) + tab, mark.line + 1 if mark is not None else 0)
    except RecursionError:
        raise NotYaml("nested too deeply") from None
    except NotYaml:
        raise
    except UNREADABLE as e:
        raise NotYaml("a value cannot be read ({})".format(reason(e)))
