"""The nouns of embaudit: frozen values without any input or output."""
