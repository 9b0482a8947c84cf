"""How numbers are shown: text, figures, pages."""
