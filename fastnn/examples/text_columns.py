"""A table with text columns: texts become class numbers, and a network learns a few numbers for each of them.

$ python -m fastnn.examples.text_columns
off by 4 thousand on average; always guessing the median: 110
80 square metres with a park in Aarhus: 292, made as 288
80 square metres with a park in Bergen: 362, made as 360
80 square metres with a park in Cork: 215, made as 216
80 square metres with a park in Delft: 321, made as 320

`fastnn train table.csv --target price` does the like from the shell, without a line of Python.
"""

from __future__ import annotations

import numpy as np

import fastnn as keras
from fastnn import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)

# Flats: what a square metre costs depends on the city, and a view is worth the same everywhere.
cities = np.array(["Aarhus", "Bergen", "Cork", "Delft"])
worth = {"Aarhus": 3.1, "Bergen": 4.0, "Cork": 2.2, "Delft": 3.5}  # thousands a square metre
city, view = cities[random.integers(0, 4, 3000)], random.choice(["yard", "park"], 3000)
size = random.uniform(25, 150, 3000)
price = size * np.vectorize(worth.get)(city) + 40 * (view == "park") + random.normal(0, 5, 3000)

known, numbers = np.unique(city, return_inverse=True)  # the texts in order, and the number of each row's
rows = {"city": numbers, "view": (view == "park").astype(int), "size": size}

where, seen = keras.Input((1,), name="city", dtype="int32"), keras.Input((1,), name="view", dtype="int32")
metres = keras.Input((1,), name="size")
scaling = layers.Normalization()
scaling.adapt(size[:2400, None])
parts = [
    layers.Flatten()(layers.Embedding(len(known), 2)(where)),
    layers.Flatten()(layers.Embedding(2, 1)(seen)),
    scaling(metres),
]
hidden = layers.Dense(32, activation="relu")(layers.concatenate(parts))
model = keras.Model([where, seen, metres], layers.Dense(1)(hidden))
model.compile(keras.optimizers.Adam(0.01), "mae")
model.fit({name: values[:2400] for name, values in rows.items()}, price[:2400], epochs=60, verbose=0)

held_out = {name: values[2400:] for name, values in rows.items()}
error = model.evaluate(held_out, price[2400:], verbose=0)
guess = np.abs(price[2400:] - np.median(price[:2400])).mean()
print(f"off by {error:.0f} thousand on average; always guessing the median: {guess:.0f}")
for name in known:
    flat = {"city": np.searchsorted(known, [name]), "view": np.array([1]), "size": np.array([80.0])}
    told = 80 * worth[str(name)] + 40
    print(f"80 square metres with a park in {name}: {model.predict(flat, verbose=0)[0, 0]:.0f}, made as {told:.0f}")
