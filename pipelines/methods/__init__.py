"""The ways to adapt a model: one table, and how those on cached features are fitted."""
