"""Verdicts of real networks on all region sets of photographs (made by search/make_photo_tables.py)."""

import csv
from pathlib import Path

import numpy as np
from oracles import Asked

from captum_focalogic.logic import count_literals, to_expression
from captum_focalogic.search import Anytime, Ascending, Exhaustive, enumerate_final_states

DATA = Path(__file__).parent / "search" / "data"
NETWORKS = {"mobilenet": "MobileNetV2", "lite0": "EfficientNet-Lite0"}
RIVALS = ("growth", "HittingSets", "Chains")


def load(file="photo_tables"):
    """Name -> (truth table (2^M,) bool, score (2^M,) float32, areas (M,)).

    ``photo_tables`` holds ten photographs, black baseline, top-1 unchanged; ``photo_answers`` pairs of a photograph and
    one of two networks, mean colour, top-1 unchanged with at least half of its probability.
    """
    with np.load(DATA / f"{file}.npz") as stored:
        names = sorted({key.split("/")[0] for key in stored.files})
        return {
            name: (
                np.unpackbits(stored[f"{name}/valid"], count=len(stored[f"{name}/score"])).astype(bool),
                stored[f"{name}/score"].astype(np.float32),
                stored[f"{name}/areas"].astype(np.float64),
            )
            for name in names
        }


def for_testing(name):
    """Whether no setting of a search may be chosen on this pair: those of odd ImageNet classes."""
    return int(name[1:9]) % 2 == 1


def searches():
    """Name -> (states (S, M) bool, verdicts (S,), scores (S,), areas (M,)): what the default search asked, and heard.

    Names are photo, network and number of regions asked for; verdicts as of ``photo_answers``.
    """
    with np.load(DATA / "photo_searches.npz") as stored:
        arrays = {part: stored[part] for part in stored.files}
    found, places = {}, dict.fromkeys(("states", "score", "areas"), 0)

    def take(part, count):
        places[part] += count
        return arrays[part][places[part] - count : places[part]]

    valid = np.unpackbits(arrays["valid"], count=len(arrays["score"])).astype(bool)
    for name, regions, asked in zip(arrays["names"], arrays["regions"], arrays["asked"], strict=True):
        # All sets' first eight regions, then their next eight: alike things together, which compresses better.
        columns = take("states", asked * -(-regions // 8)).reshape(-1, asked)
        states = np.unpackbits(columns.T, axis=1, count=regions).astype(bool)
        heard = slice(places["score"], places["score"] + asked)
        areas = take("areas", regions).astype(np.float64)
        found[str(name)] = states, valid[heard], take("score", asked).astype(np.float32), areas
    return found


def store_searches(searches):
    """Write what :func:`searches` reads, the sets of each search in order."""
    parts = {part: [] for part in ("names", "regions", "asked", "states", "valid", "score", "areas")}
    for name, (states, valid, score, areas) in sorted(searches.items()):
        packed = np.packbits(states, axis=1)
        order = np.lexsort(packed.T[::-1])
        values = name, len(areas), len(states), packed[order].T.ravel(), valid[order], score[order], areas
        for part, value in zip(parts.values(), values, strict=True):
            part.append(value)
    joined = {part: np.concatenate(parts[part]) for part in ("states", "valid", "score", "areas")}
    joined["valid"] = np.packbits(joined["valid"])
    joined |= {"score": joined["score"].astype(np.float16), "areas": joined["areas"].astype(np.float32)}
    lists = {part: np.array(parts[part]) for part in ("names", "regions", "asked")}
    np.savez_compressed(DATA / "photo_searches.npz", **lists, **joined)


def counts():
    """What the default search took on photographs, one row a photo, network and number of regions."""
    with (DATA / "photo_counts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def apart(row):
    """Regions that the default search's set of 600 evaluations has more than the best of its rivals."""
    return 0 if row["rivals"] == "proved" else int(row["early_size"]) - min(int(row[name]) for name in RIVALS)


def groups(rows):
    """Number of regions, network, whether for testing, rows of these three."""

    def of(row):
        return int(row["wanted"]), row["network"], not for_testing(row["photo"])

    for wanted, network, chosen_on in sorted(set(map(of, rows))):
        yield wanted, network, not chosen_on, [row for row in rows if of(row) == (wanted, network, chosen_on)]


def count_tables():
    """First sets, all evaluations, and sizes beside rivals', in Markdown, as the documentation has them."""
    rows = counts()
    first = _head("regions", "evaluations: mean, median, range", "size", "within 2M + 60", "within 4M + 60")
    for wanted, network, testing, group in groups(rows):
        asked, size, most = ([int(row[field]) for row in group] for field in ("first", "first_size", "regions"))
        within = [sum(a <= k * m + 60 for a, m in zip(asked, most, strict=True)) for k in (2, 4)]
        cells = _range(most), _spread(asked), _range(size), *within
        first.append(_row(wanted, network, testing, len(group), *cells))
    spent = _head("evaluations: mean, median, range", "all", "size", "open")
    for wanted, network, testing, group in groups(rows):
        known = [sum(row["smallest"] == status for row in group) for status in ("all", "size", "open")]
        took = _spread([int(row["evaluations"]) for row in group])
        spent.append(_row(wanted, network, testing, len(group), took, *known))
    beside = _head("proved smallest", "smaller", "as small", "larger")
    for wanted, network, testing, group in groups([row for row in rows if row["rivals"] and int(row["wanted"]) > 12]):
        more = [apart(row) for row in group if row["rivals"] == "run"]
        sizes = [sum(d < 0 for d in more), sum(d == 0 for d in more), sum(d > 0 for d in more)]
        beside.append(_row(wanted, network, testing, len(group), len(group) - len(more), *sizes))
    return ["\n".join(lines) for lines in (first, spent, beside)]


def readings_table():
    """What each reading takes and gives on the pairs of 8 regions or more, in Markdown."""
    pairs = [pair for pair in load("photo_answers").values() if len(pair[2]) >= 8]
    names = ["`--reading`", "evaluations: mean, median, most", "sets: mean, most"]
    names += ["literals of the formula: mean, most", "of at most 12 literals", "area of a set"]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for reading, strategy in (("smallest", Anytime()), ("minimal", Ascending()), ("irreducible", Exhaustive())):
        found = [enumerate_final_states(Asked(table, score), len(areas), strategy) for table, score, areas in pairs]
        took = [result.certificate.evaluations for result in found]
        count = [len(result.final_states) for result in found]
        literals = np.array([count_literals(to_expression(result.final_states)) for result in found])
        area = np.mean([np.mean(one.final_states @ pair[2]) for one, pair in zip(found, pairs, strict=True)])
        cells = [f"`{reading}`", f"{np.mean(took):.0f}, {np.median(took):.0f}, {max(took):,}"]
        cells += [f"{np.mean(count):.1f}, {max(count)}", f"{np.mean(literals):.2g}, {max(literals)}"]
        cells += [f"{100 * np.mean(literals <= 12):.0f} %", f"{100 * area:.0f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(*columns):
    names = ("asked for", "network", "photos", *columns)
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]


def _row(wanted, network, testing, photos, *cells):
    of = f"{photos} {'test' if testing else 'other'}"
    return f"| {' | '.join(map(str, (wanted, NETWORKS[network], of, *cells)))} |"


def _spread(values):
    return f"{np.mean(values):.0f}, {np.median(values):.0f}, {_range(values)}"


def _range(values):
    return f"{min(values)} to {max(values)}"
