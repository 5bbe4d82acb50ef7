# Import a file: send it, make a job, follow it to its end, and look at what it says. Needs curl and jq.
set -eu
api() { curl -sS --fail-with-body -H "X-API-Key: $CONNECTRA_API_KEY" "$@"; }
file=${1:-people.csv}

upload=$(api "$CONNECTRA_URL/common/upload-url?filename=people.csv")
curl -sS --fail-with-body -T "$file" "$(printf '%s' "$upload" | jq -r .upload_url)"
job=$(printf '%s' "$upload" | jq '{job_type: "insert_csv_file", job_data: {s3_key}, retry_count: 3}')
uuid=$(api "$CONNECTRA_URL/common/jobs/create" -d "$job" | jq -r .data.uuid)

# Server-sent events: the job whenever it has changed. The answer ends with the job.
api --no-buffer "$CONNECTRA_URL/common/jobs/$uuid/events" | sed -n 's/^event: //p'

api "$CONNECTRA_URL/common/jobs/$uuid" | jq '.data | {status, job_response}'
# What was not stored, as a file like the one that was sent.
rejected=$(api "$CONNECTRA_URL/common/jobs/$uuid/files" | jq -r '.data[] | select(.kind == "rejected").download_url')
[ -z "$rejected" ] || curl -sS --fail-with-body -o rejected.csv "$rejected"
