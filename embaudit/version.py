"""The version of embaudit, in one place: the package metadata takes it from here."""

VERSION = "0.1.0"
