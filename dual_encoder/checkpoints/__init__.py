"""Published and shipped models: one table of names, and how their weights are stored."""

from dual_encoder.checkpoints.packed import load_packed as load_packed
from dual_encoder.checkpoints.packed import save_packed as save_packed
from dual_encoder.checkpoints.table import CHECKPOINTS as CHECKPOINTS
from dual_encoder.checkpoints.table import Checkpoint as Checkpoint
