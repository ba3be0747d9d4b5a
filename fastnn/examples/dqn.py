"""A DQN agent on a toy world: a corridor whose far end pays, and whose near end pays a little at once.

$ python -m fastnn.examples.dqn
far end reached in 8 of the first 20 games, in 20 of the last 20
what it does from left to right: > > > > > >

Each move is one `predict_on_batch` of one row and one `train_on_batch` of 32: the calls that an agent makes most.

Source: V. Mnih et al., "Human-level control through deep reinforcement learning", Nature 518 (2015).
"""

from __future__ import annotations

from collections import deque

import numpy as np

import fastnn as keras
from fastnn import layers

PLACES, DISCOUNT = 8, 0.95
SEEN = np.eye(PLACES, dtype="float32")  # by place: what the agent sees where it stands
keras.utils.set_random_seed(0)
random = np.random.default_rng(0)


def moved(place: int, action: int) -> tuple[int, float, bool]:
    """The next place, the reward, and whether that ends the game; action 1 goes to the right."""
    place += 1 if action else -1
    return place, {0: 0.1, PLACES - 1: 1.0}.get(place, 0.0), place in (0, PLACES - 1)


def network() -> keras.Sequential:
    """What an action is worth at a place."""
    model = keras.Sequential([keras.Input((PLACES,)), layers.Dense(24, "relu"), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.Huber())
    return model


online, target = network(), network()
memory: deque[tuple[int, int, float, int, bool]] = deque(maxlen=2000)
won = []
for game in range(80):
    place, over, moves, curious = 2, False, 0, max(0.05, 1.0 - game / 40)
    while not over and moves < 50:
        worth = online.predict_on_batch(SEEN[place : place + 1])[0]
        action = int(random.integers(2)) if random.uniform() < curious else int(worth.argmax())
        after, reward, over = moved(place, action)
        memory.append((place, action, reward, after, over))
        place, moves = after, moves + 1
        if len(memory) < 64:
            continue
        batch = [memory[number] for number in random.integers(len(memory), size=32)]
        places, actions, rewards, afters, overs = map(np.array, zip(*batch, strict=True))
        best = target.predict_on_batch(SEEN[afters]).max(axis=1)
        goal = online.predict_on_batch(SEEN[places])
        goal[np.arange(32), actions] = rewards + DISCOUNT * best * ~overs
        online.train_on_batch(SEEN[places], goal)
    won.append(place == PLACES - 1)
    if game % 5 == 4:
        target.set_weights(online.get_weights())

print(f"far end reached in {sum(won[:20])} of the first 20 games, in {sum(won[-20:])} of the last 20")
worth = online.predict_on_batch(SEEN[1:-1])
print("what it does from left to right:", " ".join("<>"[action] for action in worth.argmax(axis=1)))
