"""What tests, bench and chaos share: one typed helper of each kind. Imports no test."""
