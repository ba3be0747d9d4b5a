"""The faults that `mutants.py` plants. Each changes results or behaviour; none is equivalent to the right code."""

from .fault import Fault as Fault
from .in_c import IN_C
from .in_numba import IN_NUMBA
from .in_python import IN_PYTHON

FAULTS = (*IN_C, *IN_NUMBA, *IN_PYTHON)
