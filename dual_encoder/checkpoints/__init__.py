"""Published and shipped models: one table of names, and how their weights are stored."""

from dual_encoder.checkpoints.catalog import CHECKPOINTS as CHECKPOINTS
from dual_encoder.checkpoints.catalog_entry import Checkpoint as Checkpoint
from dual_encoder.checkpoints.packed_model import load_packed as load_packed
from dual_encoder.checkpoints.packed_model import save_packed as save_packed
