"""Whether this machine's CPU multiplies bfloat16 numbers faster than float32 ones."""

import os

from duet import cpu_flags

# As Linux lists them: Intel and AMD since 2020, AMX since 2023, ARM since 2021.
INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "bf16": "ARM BF16"}

# In the values of ONEDNN_MAX_CPU_ISA, beyond which oneDNN uses no instructions.
HAVE_THEM = ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10")


def names(cpuinfo: str | None = None) -> str:
    """Returns the name of the CPU's bfloat16 instructions that TensorFlow uses; empty for none.

    Only oneDNN uses them. XLA on a CPU, like Eigen, multiplies bfloat16 numbers as float32 ones
    (TensorFlow 2.21, measured with AVX512-BF16: a product of matrices takes as long in both).

    Args:
        cpuinfo: the text of /proc/cpuinfo; by default this machine's, empty on other systems.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") == "0":
        return ""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    if not any(part in limit for part in HAVE_THEM):  # TensorFlow would die of asking for them
        return ""
    flags = cpu_flags.flags() if cpuinfo is None else set(cpuinfo.split())
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), "")
