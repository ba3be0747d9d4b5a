"""All kernels of a dtype as one LLVM module: compiled once, kept on disk as an object file, and named to Numba's
linker."""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import binding, ir

from .. import disk_cache

# The families register their kernels when they are imported.
from . import binary, elementwise, gemm, gemm_tile, losses, normalization, optimizers, philox, rowwise, softmax  # noqa: F401
from .cpu import cpu
from .declare import KERNELS
from .jit import keep
from .lanes import SUFFIX

_engines: dict[str, Any] = {}  # the code lives as long as its engine


def _target_machine() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    name, features = cpu()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def optimised(dtype: str, machine: Any) -> Any:
    """The module of all kernels, optimised."""
    module = ir.Module(f"fastnn_kernels_{dtype}")
    module.triple = binding.get_default_triple()
    for kernel in KERNELS:
        kernel.define(module, dtype)
    parsed = binding.parse_assembly(str(module))
    parsed.data_layout = str(machine.target_data)
    parsed.verify()
    # The loops are vectors already: neither vectoriser nor unroller would find more than compile time.
    tuning = binding.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = tuning.loop_interleaving = False
    passes = binding.create_pass_builder(machine, tuning)
    passes.getModulePassManager().run(parsed, passes)
    return parsed


def assembly(dtype: str) -> str:
    """The machine code of all kernels, as text."""
    machine = _target_machine()
    return str(machine.emit_assembly(optimised(dtype, machine)))


def load(dtype: str) -> None:
    """Makes the kernels of a dtype callable by their symbols, read from disk or compiled."""
    if dtype in _engines:
        return
    machine, name = _target_machine(), f"kernels_{dtype}"
    code = disk_cache.read(name)
    if code is None:
        code = machine.emit_object(optimised(dtype, machine))
        keep(name, code)
    if "+fma" not in cpu()[1].split(","):
        _name_software_fma()
    empty = binding.parse_assembly("")
    engine = binding.create_mcjit_compiler(empty, machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    for kernel in KERNELS:
        symbol = f"fnn_{kernel.name}_{SUFFIX[dtype]}"
        binding.add_symbol(symbol, engine.get_function_address(symbol))
    _engines[dtype] = engine


def _name_software_fma() -> None:
    """Without the instruction LLVM calls the C library's fma, which rounds once too; the linker does not find it by
    itself."""
    library = ctypes.CDLL(None)
    for name in ("fma", "fmaf"):
        binding.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
