"""The columns of `plan.py` and the codes of its tables as plain integers, which Numba reads as constants."""

from __future__ import annotations

from ...formulas import LOSS_NAMES, METRIC_NAMES, OPTIMIZERS, ROW_METRICS
from ...plan import Counter, I, Kind, Los, Met, Opt, Par, Scalar

DENSE, ACTIVATION, SOFTMAX, DROPOUT = (int(kind) for kind in list(Kind)[:4])
I_KIND, I_CODE, I_SRC, I_DST, I_INPUTS, I_OUTPUTS, I_KERNEL, I_BIAS, I_CONSTANT, I_LAYER = (
    int(i) for i in list(I)[:10]
)
I_GRAD_SRC, I_GRAD_DST, I_SAVED, I_TRANSPOSED, I_FUSED = (int(i) for i in list(I)[10:15])
I_WIDTH = int(I.WIDTH)
P_OFFSET, P_ROWS, P_COLUMNS, P_TRAINABLE, P_DECAY, P_PENALTY, P_INSTRUCTION, P_ROLE, P_WIDTH = (int(i) for i in Par)
M_CODE, M_SLOT, M_SLOTS, M_CONSTANT = (int(i) for i in list(Met)[:4])
M_WIDTH = int(Met.WIDTH)
L_CODE, L_INPUT, L_PREDICTION, L_PROBABILITY, L_GRADIENT, L_OUTPUTS, L_TARGET, L_TARGETS, L_CONSTANT = (
    int(i) for i in list(Los)[:9]
)
O_CODE, O_SLOTS, O_CONSTANT, O_HAS_DECAY = (int(i) for i in list(Opt)[:4])
LEARNING_RATE, BETA_1_POWER, BETA_2_POWER = (int(i) for i in list(Scalar)[:3])
STEP, EPOCH, SEED = (int(i) for i in list(Counter)[:3])
SUM_LOSS, SUM_COUNT = 0, 1
LOGITS = LOSS_NAMES.index("softmax_crossentropy")  # this code and the next are crossentropies from logits
ACCURACY = METRIC_NAMES.index(ROW_METRICS[0])
R2_SCORE = METRIC_NAMES.index("r2_score")
RELU_CODE = 0
ADAM, RMSPROP, SGD = (list(OPTIMIZERS).index(name) for name in ("adam", "rmsprop", "sgd"))
