"""Binary classification of a table that pandas reads: eight columns of numbers, and the outcome."""

# mypy: ignore-errors

import io

import numpy as np
import pandas as pd
from keras.layers import Dense
from keras.models import Sequential

rng = np.random.default_rng(1)
table = pd.DataFrame(
    {
        "Pregnancies": rng.integers(0, 12, 500),
        "Glucose": rng.normal(120, 30, 500).round(),
        "BloodPressure": rng.normal(70, 12, 500).round(),
        "SkinThickness": rng.integers(0, 60, 500),
        "Insulin": rng.integers(0, 300, 500),
        "BMI": rng.normal(32, 7, 500).round(1),
        "DiabetesPedigreeFunction": rng.random(500).round(3),
        "Age": rng.integers(21, 80, 500),
    }
)
table["Outcome"] = (table["Glucose"] / 30 + table["BMI"] / 7 + rng.normal(0, 0.3, 500) > 8.6).astype(int)
file = io.StringIO(table.to_csv(index=False))

# load the dataset, split into input (X) and output (y) variables
df = pd.read_csv(file)
X = df.drop(columns="Outcome")
y = df["Outcome"]
X = (X - X.mean()) / X.std()

model = Sequential()
model.add(Dense(12, input_dim=8, kernel_initializer="uniform", activation="relu"))
model.add(Dense(8, kernel_initializer="uniform", activation="relu"))
model.add(Dense(1, kernel_initializer="uniform", activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(X, y, epochs=60, batch_size=10, verbose=0)

_, accuracy = model.evaluate(X, y)
print(f"Accuracy: {accuracy * 100:.2f}")
predictions = (model.predict(X) > 0.5).astype(int)
for i in range(5):
    print(f"{X.iloc[i].tolist()} => {predictions[i][0]} (expected {y[i]})")

assert accuracy > 0.85, accuracy  # always the commoner answer: about 0.6
assert abs((predictions[:, 0] == y).mean() - accuracy) < 1e-6
