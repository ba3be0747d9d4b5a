"""A deep Q-learning agent with replay and a target network; the game is a cart that must reach the flag."""

# mypy: ignore-errors

import random
from collections import deque

import keras
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam

keras.utils.set_random_seed(11)


class Track:
    """Six places in a row; action 1 goes to the right, where the flag is."""

    def reset(self):
        self.place, self.moves = 0, 0
        return self.observe()

    def observe(self):
        return np.array([self.place / 5, 1.0 - self.place / 5, float(self.place == 0)])

    def step(self, action):
        self.place = min(5, max(0, self.place + (1 if action == 1 else -1)))
        self.moves += 1
        won = self.place == 5
        return self.observe(), 1.0 if won else -0.05, won or self.moves >= 25, {}


class DQNAgent:
    def __init__(self, state_size, action_size):
        self.state_size = state_size
        self.action_size = action_size
        self.memory = deque(maxlen=2000)
        self.gamma = 0.9
        self.epsilon = 1.0
        self.epsilon_min = 0.05
        self.epsilon_decay = 0.97
        self.model = self._build_model()
        self.target_model = self._build_model()
        self.update_target_model()

    def _build_model(self):
        model = Sequential()
        model.add(Dense(24, input_dim=self.state_size, activation="relu"))
        model.add(Dense(24, activation="relu"))
        model.add(Dense(self.action_size, activation="linear"))
        model.compile(loss="mse", optimizer=Adam(learning_rate=0.005))
        return model

    def update_target_model(self):
        self.target_model.set_weights(self.model.get_weights())

    def memorize(self, *transition):
        self.memory.append(transition)

    def act(self, state):
        if np.random.rand() <= self.epsilon:
            return random.randrange(self.action_size)
        return np.argmax(self.model.predict(state, verbose=0)[0])

    def replay(self, batch_size):
        for state, action, reward, next_state, done in random.sample(self.memory, batch_size):
            target = self.model.predict(state, verbose=0)
            if done:
                target[0][action] = reward
            else:
                t = self.target_model.predict(next_state, verbose=0)[0]
                target[0][action] = reward + self.gamma * np.amax(t)
            self.model.fit(state, target, epochs=1, verbose=0)
        if self.epsilon > self.epsilon_min:
            self.epsilon *= self.epsilon_decay


env, agent = Track(), DQNAgent(3, 2)
for _ in range(12):
    state, done = env.reset().reshape(1, 3), False
    while not done:
        action = agent.act(state)
        next_state, reward, done, _ = env.step(action)
        next_state = np.reshape(next_state, [1, 3])
        agent.memorize(state, action, reward, next_state, done)
        state = next_state
    agent.update_target_model()
    if len(agent.memory) > 16:
        agent.replay(16)

agent.epsilon = 0.0
state, done, total = env.reset().reshape(1, 3), False, 0.0
while not done:
    state, reward, done, _ = env.step(agent.act(state.reshape(1, 3)))
    total += reward
print("moves:", env.moves, "reward:", total)
assert env.moves == 5
