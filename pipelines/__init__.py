"""`python -m pipelines COMMAND`: the commands of Duet."""
