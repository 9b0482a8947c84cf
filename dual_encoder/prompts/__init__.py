"""Prompt learning: CoOp, CoCoOp, and learned prompts on disk."""
