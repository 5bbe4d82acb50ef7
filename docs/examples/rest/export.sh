# Export a segment: a job writes the file, which is then fetched. Needs curl and jq.
set -eu
api() { curl -sS --fail-with-body -H "X-API-Key: $CONNECTRA_API_KEY" "$@"; }

uuid=$(api "$CONNECTRA_URL/common/jobs/create" -d '{
  "job_type": "export_csv_file",
  "job_data": {
    "service": "contact",
    "vql": {
      "where": {"keyword_match": {"must": {"country": "germany"}}},
      "select_columns": ["first_name", "last_name", "email", "company.name"]
    }
  }
}' | jq -r .data.uuid)
api --no-buffer "$CONNECTRA_URL/common/jobs/$uuid/events" | sed -n 's/^event: //p'

result=$(api "$CONNECTRA_URL/common/jobs/$uuid/files" | jq -r '.data[] | select(.kind == "result").download_url')
curl -sS --fail-with-body -o segment.csv "$result"
