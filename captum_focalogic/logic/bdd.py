"""Circuits as binary decision diagrams (``dd``), for what needs a canonical form of a formula with negations."""

from collections.abc import Sequence

from dd.bdd import BDD

from captum_focalogic.errors import DiagramTooLarge
from captum_focalogic.logic.circuit import Circuit

NODE_LIMIT = 200_000


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

    def __init__(self, variables: int, limit: int = NODE_LIMIT) -> None:
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
        nodes: dict[int, int] = {}
        try:
            for number in circuit.cone(wire):
                gate = circuit.gates[number - 1]
                parts = [nodes[part] if part > 0 else -nodes[-part] for part in gate.wires]
                match gate.kind:
                    case "region":
                        nodes[number] = int(self.var(f"v{position[gate.name]}"))
                    case "true":
                        nodes[number] = 1
                    case operator:
                        nodes[number] = parts[0]
                        for part in parts[1:]:
                            nodes[number] = int(self.apply(operator, nodes[number], part))
        except RecursionError as error:
            raise DiagramTooLarge(f"a decision diagram over {len(names)} regions is too deep to build") from error
        return nodes[wire] if wire > 0 else -nodes[-wire]


def count_satisfying(circuit: Circuit, wire: int, names: Sequence[str]) -> int:
    """How many of the 2 ** len(names) region sets turn a wire on.

    Raises
    ------
    DiagramTooLarge
        If the formula is too large to count exactly.
    """
    diagram = BoundedBDD(len(names))
    return int(diagram.count(diagram.build(circuit, wire, names), nvars=len(names)))
