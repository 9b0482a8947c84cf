"""Fine-tuning a pretrained model on labelled images."""
