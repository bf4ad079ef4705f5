"""What was answered is remembered: each state asked once, judged by several criteria, summed up beyond the room."""

import threading

import numpy as np
import pytest
import torch
from oracles import all_assignments
from torch import Tensor

from captum_focalogic.oracle.memory import Memory, Summaries
from captum_focalogic.search import states as st

STATES = all_assignments(3)
PACKED = st.pack(STATES)
OUTPUTS = torch.from_numpy(STATES.astype(np.float32)) @ torch.tensor([[1.0, 0.0], [2.0, 0.5], [4.0, 9.0]])


def large(outputs: Tensor) -> tuple[Tensor, Tensor]:
    return outputs[:, 0] > 3, outputs[:, 0]


def second(outputs: Tensor) -> tuple[Tensor, Tensor]:
    return outputs[:, 1] > outputs[:, 0], outputs[:, 1]


def summarise(outputs: Tensor) -> Summaries:
    top = np.zeros((len(outputs), 0))
    return Summaries(outputs.argmax(1).numpy(), outputs[:, 0].numpy(), top.astype(np.int64), top.astype(np.float32))


def store(memory: Memory, rows: list[int], judge=large) -> None:
    _, mine = memory.claim(judge, PACKED[rows], judge)
    assert mine.all()
    valid, score = judge(OUTPUTS[rows])
    memory.store(judge, PACKED[rows], valid.numpy(), score.numpy(), OUTPUTS[rows], summarise)


@pytest.mark.parametrize("room", [0, 24, 1000], ids=["no room", "room for three", "room for all"])
def test_verdicts_and_summaries_come_back_in_any_order(room: int) -> None:
    memory = Memory(3, room)
    store(memory, [5, 1, 0])
    store(memory, [7, 2])
    asked = [2, 5, 0, 7, 1]
    valid, score = memory.verdicts(large, PACKED[asked])
    assert score.tolist() == OUTPUTS[asked, 0].tolist()
    assert valid.tolist() == (OUTPUTS[asked, 0] > 3).tolist()
    found = memory.summaries(PACKED[asked], summarise)
    assert found.probability.tolist() == OUTPUTS[asked, 0].tolist()
    assert found.predicted.tolist() == OUTPUTS[asked].argmax(1).tolist()
    assert len(memory) == 5
    assert sorted(memory.valid_states(large).reshape(-1).tolist()) == sorted(PACKED[[5, 7]].reshape(-1).tolist())


def test_a_state_is_claimed_by_one_asker_until_it_is_released() -> None:
    memory = Memory(3)
    known, mine = memory.claim(large, PACKED[:3], large)
    assert (known.tolist(), mine.tolist()) == ([False] * 3, [True] * 3)
    known, mine = memory.claim(large, PACKED[1:5], large)
    assert (known.tolist(), mine.tolist()) == ([False] * 4, [False, False, True, True])
    memory.release(PACKED[:2])
    known, mine = memory.claim(large, PACKED[:3], large)
    assert mine.tolist() == [True, True, False]


def test_another_criterion_asks_nothing_where_outputs_are_kept() -> None:
    memory = Memory(3)
    store(memory, [1, 5, 7])
    known, mine = memory.claim(second, PACKED[[7, 5, 6]], second)
    assert (known.tolist(), mine.tolist()) == ([True, True, False], [False, False, True])
    valid, score = memory.verdicts(second, PACKED[[7, 5]])
    assert (valid.tolist(), score.tolist()) == ([True, True], [9.5, 9.0])


def test_without_outputs_another_criterion_has_to_ask() -> None:
    memory = Memory(3, room=0)
    store(memory, [1, 5])
    known, mine = memory.claim(second, PACKED[[1, 5]], second)
    assert (known.tolist(), mine.tolist()) == ([False, False], [True, True])


def test_what_was_not_asked_has_no_answer() -> None:
    memory = Memory(3)
    store(memory, [1])
    with pytest.raises(KeyError, match="was not asked"):
        memory.verdicts(large, PACKED[:2])
    with pytest.raises(KeyError, match="was not asked"):
        memory.summaries(PACKED[:2], summarise)


def test_threads_share_the_work_and_ask_nothing_twice() -> None:
    memory, count = Memory(12), []
    packed = st.pack(all_assignments(12))

    def ask(seed: int) -> None:
        for rows in np.array_split(np.random.default_rng(seed).permutation(len(packed)), 60):
            _, mine = memory.claim(large, packed[rows], large)
            outputs = torch.zeros(int(mine.sum()), 2)
            if mine.any():
                count.append(int(mine.sum()))
                valid, score = large(outputs)
                memory.store(large, packed[rows][mine], valid.numpy(), score.numpy(), outputs, summarise)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(count) == len(memory) == len(packed)
