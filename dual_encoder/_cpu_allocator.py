"""Configure TensorFlow's memory allocator on a CPU."""

import os


def pool_memory() -> None:
    """Make TensorFlow pool and reuse memory on a CPU, as it does on a GPU.

    malloc returns large arrays to the system, which zeroes every page again, and fragments the
    rest: a training step is about 7 % slower and peak memory a fifth higher. In exchange a process
    never shrinks. Must run before TensorFlow is used; `TF_CPU_ALLOCATOR_USE_BFC=false` in the
    environment keeps malloc.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")  # bytes of physical memory
    os.environ.setdefault("TF_CPU_BFC_MEM_LIMIT_IN_MB", str(memory >> 20))  # default: 64 GiB
