"""The columns of `core/plan.py` and the codes of its tables as plain integers, which Numba reads as constants."""

from __future__ import annotations

from ...core.formulas import LOSS_NAMES, METRIC_NAMES, ROW_METRICS
from ...core.plan import Batch, Clip, Counter, I, Kind, Los, Met, Opt, Par, Role, Scalar

DENSE, ACTIVATION, SOFTMAX, DROPOUT, AFFINE, STANDARDIZE, BATCH_NORM, LAYER_NORM = (int(kind) for kind in Kind)
I_KIND, I_CODE, I_SRC, I_DST, I_INPUTS, I_OUTPUTS, I_KERNEL, I_BIAS, I_CONSTANT, I_LAYER = (
    int(i) for i in list(I)[:10]
)
I_GRAD_SRC, I_GRAD_DST, I_SAVED, I_FUSED, I_MEAN, I_VARIANCE, I_STATISTICS, I_INVERSE, I_WIDTH = (
    int(i) for i in list(I)[10:]
)
BATCH_MEAN, BATCH_VARIANCE, INVERSE, BETA_GRADIENT, GAMMA_GRADIENT = (int(vector) for vector in list(Batch)[:5])
P_OFFSET, P_ROWS, P_COLUMNS, P_TRAINABLE, P_DECAY, P_PENALTY, P_INSTRUCTION, P_ROLE, P_WIDTH = (int(i) for i in Par)
KERNEL, BIAS, SCALE = (int(role) for role in Role)
M_CODE, M_SLOT, M_SLOTS, M_CONSTANT, M_WEIGHTED, M_WIDTH = (int(i) for i in Met)
L_CODE, L_INPUT, L_PREDICTION, L_PROBABILITY, L_GRADIENT, L_OUTPUTS, L_TARGET, L_TARGETS, L_CONSTANT, L_BLOCK_TOTALS = (
    int(i) for i in list(Los)[:10]
)
O_CODE, O_SLOTS, O_CONSTANT, O_HAS_DECAY, O_CLIP, O_CLIP_CONSTANT, O_WIDTH = (int(i) for i in Opt)
CLIP_NONE, CLIP_VALUE, CLIP_NORM, CLIP_GLOBAL_NORM = (int(clip) for clip in Clip)
LEARNING_RATE, PRODUCTS = (int(i) for i in list(Scalar)[:2])
STEP, EPOCH, SEED = (int(i) for i in list(Counter)[:3])
SUM_LOSS, SUM_COUNT = 0, 1
LOGITS = LOSS_NAMES.index("softmax_crossentropy")  # this code and the next are crossentropies from logits
ACCURACY = METRIC_NAMES.index(ROW_METRICS[0])
R2_SCORE = METRIC_NAMES.index("r2_score")
RELU_CODE = 0
