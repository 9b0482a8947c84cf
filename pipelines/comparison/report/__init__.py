"""What a comparison says: its results as data, its recommendation, its page and plots."""
