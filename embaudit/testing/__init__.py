"""Shipped to users: what they need to test their own use of embaudit."""
