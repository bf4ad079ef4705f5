"""Formulas as binary decision diagrams (``dd``): what needs a canonical form of any formula, negations included.

Apart from what is asked of final states, which are monotone and have a form of their own: importing ``dd`` takes as
long as several evaluations of a network.
"""

from collections.abc import Sequence
from functools import reduce

from dd.bdd import BDD

from captum_focalogic.errors import DiagramTooLarge
from captum_focalogic.logic.circuit import Circuit, Gate

BDD_LIMIT = 200_000


class BoundedBDD(BDD):
    """A diagram that refuses to grow beyond a limit.

    ``dd`` has ``max_nodes`` for this, but its reference counts are off once that was reached, and it complains when
    it is deleted. Nodes are integers, negated by their sign; 1 is true. Variable i is called ``v<i>``, level i.

    Parameters
    ----------
    variables : int
        Number of variables.
    limit : int
        Most nodes.
    """

    def __init__(self, variables: int, limit: int = BDD_LIMIT) -> None:
        super().__init__({f"v{i}": i for i in range(variables)})
        self.limit = limit

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def find_or_add(self, i: int, v: int, w: int) -> int:
        """The node of a level with these branches; see ``dd``."""
        if len(self) >= self.limit:
            raise DiagramTooLarge(
                f"the formula over {len(self.vars)} regions is too large for a decision diagram of {self.limit} nodes"
            )
        return int(super().find_or_add(i, v, w))

    def cofactors(self, node: int, level: int) -> tuple[int, int]:
        """The function where the variable of a level is off, and where it is on."""
        own, low, high = self.succ(node)
        if own != level or low is None or high is None:
            return node, node
        return (low, high) if node > 0 else (-low, -high)

    def build(self, circuit: Circuit, wire: int, names: Sequence[str]) -> int:
        """The node of a circuit's wire, variable i standing for the i-th name.

        Raises
        ------
        DiagramTooLarge
            If it needs more nodes than the limit, or is too deep.
        """
        position = {name: i for i, name in enumerate(names)}

        def node(_: int, gate: Gate, parts: list[int]) -> int:
            match gate.kind:
                case "region":
                    return int(self.var(f"v{position[gate.name]}"))
                case "true":
                    return 1
                case operator:
                    return int(reduce(lambda left, right: self.apply(operator, left, right), parts))

        try:
            return circuit.fold(wire, node, _negated)
        except RecursionError as error:
            raise DiagramTooLarge(f"a decision diagram over {len(names)} regions is too deep to build") from error


def _negated(node: int) -> int:
    return -node


def count_satisfying(circuit: Circuit, wire: int, names: Sequence[str]) -> int:
    """How many of the 2 ** len(names) region sets turn a wire on.

    Raises
    ------
    DiagramTooLarge
        If the formula is too large to count exactly.
    """
    diagram = BoundedBDD(len(names))
    return int(diagram.count(diagram.build(circuit, wire, names), nvars=len(names)))
