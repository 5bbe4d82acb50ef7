"""All advisory locks of the suite in one place, so that no two use the same number and wait for each other.

Locks on a text (a job, a match key) use `hashtextextended`; these are below what that gives in practice.
"""

MIGRATE = 7_262_537_001
CLAIM_JOBS = 7_262_537_002
# The sweep of the previous release has it too.
COUNT_FILTER_VALUES = 7_262_537_003
# First half of a two-part lock; the second is the indexer's id.
LIVING_INDEXER = 7_262_537
# The second half is the entity's position in the catalogue: only one caller at a time adds an operation on its index.
INDEX_WORK = 7_262_538
