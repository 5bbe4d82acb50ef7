"""VQL up to the engine's door: request (`model`, `proto`) → tree (`parse`, `ast`) → checks against the catalogue (`validate`, `limits`).

Pure; shared by the query service, which runs queries, and the jobs service, which takes them in for exports.
"""
