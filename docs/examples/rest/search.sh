# Search to the end: each page says where the next one begins. Needs curl and jq.
set -eu
api() { curl -sS --fail-with-body -H "X-API-Key: $CONNECTRA_API_KEY" "$@"; }

query='{
  "where": {"keyword_match": {"must": {"country": "germany"}}},
  "select_columns": ["uuid", "last_name", "email"],
  "limit": 100
}'
while
  page=$(api "$CONNECTRA_URL/contacts" -d "$query")
  printf '%s' "$page" | jq -r '.data[] | [.uuid, .last_name, .email] | @csv'
  cursor=$(printf '%s' "$page" | jq -c '.next_cursor // empty')
  [ -n "$cursor" ]
do
  query=$(printf '%s' "$query" | jq -c --argjson cursor "$cursor" '.cursor = $cursor')
done
