"""How a dual encoder and what is built of it learn: losses, steps, optimizers, weights."""
