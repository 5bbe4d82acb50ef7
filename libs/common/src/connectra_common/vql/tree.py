"""The size of a boolean tree in either spelling, looked at before any node is read."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from connectra_common.vql.limits import LIMITS

Node = TypeVar("Node")


def check_tree(root: Node, children: Callable[[Node], Sequence[Node]]) -> None:
    """Checks that a tree is neither too deep nor has too many conditions.

    Args:
        children: of a node; a leaf has none.

    Raises:
        ValueError: says what is too much.
    """
    conditions, rest = 0, [(root, 0)]
    while rest:
        node, depth = rest.pop()
        nodes = children(node)
        if not nodes:
            conditions += 1
        elif depth == LIMITS.depth:
            raise ValueError(f"nested deeper than {LIMITS.depth} levels")
        # Every node has a condition in it, or counts as one.
        elif conditions + len(rest) + len(nodes) > LIMITS.clauses:
            raise ValueError(f"has more than {LIMITS.clauses} conditions")
        else:
            rest += [(child, depth + 1) for child in nodes]
