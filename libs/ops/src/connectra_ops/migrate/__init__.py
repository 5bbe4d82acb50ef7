"""`connectra migrate`: schema and search indices up to date, and the take-over of another implementation's tables."""
