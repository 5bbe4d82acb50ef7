-- Response side of the REST API: HTTP status and error body, which a gRPC service can only send as metadata.
--
--   x-http-code   initial metadata   status of a response other than 200 (201, 204, 207; 503 of /health/db)
--   x-error-json  error trailer      the complete error envelope
--   x-error-http  error trailer      its HTTP status, where it differs from the transcoder's mapping
--
-- Listed before the transcoder, so it runs after it on responses. Disabled on the routes of native gRPC.

local INTERNAL = { "x-http-code", "x-error-json", "x-error-http", "grpc-status", "grpc-message", "grpc-status-details-bin" }

-- An error arrives either in the headers of a trailers-only response (context.abort before any initial metadata) or in real
-- trailers after initial metadata.
local function find(name, headers, trailers)
  return headers:get(name) or (trailers and trailers:get(name)) or nil
end

local function write(handle, status, body)
  local length = handle:body(true):setBytes(body)
  -- body() invalidates what headers() returned before.
  local headers = handle:headers()
  headers:replace(":status", status)
  if length == 0 then
    headers:remove("content-type")
    headers:remove("content-length")
  else
    headers:replace("content-type", "application/json")
    headers:replace("content-length", tostring(length))
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")

  if status == "200" then
    local code = headers:get("x-http-code")
    for _, name in ipairs(INTERNAL) do headers:remove(name) end
    if headers:get("access-control-allow-methods") then
      write(handle, "204", "") -- a preflight, to which Envoy's CORS filter replies 200
    elseif code == "204" then
      write(handle, code, "")
    elseif code and code:match("^[245]%d%d$") then
      headers:replace(":status", code)
    end
    return
  end

  -- Without a grpc-status it is Envoy's own reply, which the reply mappers have written already.
  if tonumber(status) < 400 or not headers:get("grpc-status") then return end

  local trailers = nil
  if not headers:get("x-error-json") then
    handle:body(true)
    trailers = handle:trailers()
    headers = handle:headers()
  end
  local body = find("x-error-json", headers, trailers)
  local wanted = find("x-error-http", headers, trailers)
  local message = find("grpc-message", headers, trailers) or ""
  for _, name in ipairs(INTERNAL) do
    headers:remove(name)
    if trailers then trailers:remove(name) end
  end

  if body then
    if wanted and wanted:match("^[45]%d%d$") then status = wanted end
  else
    -- The service could not parse the transcoded request: invalid UTF-8 in the path.
    if status == "500" and message:find("DecodeError", 1, true) then status = "400" end
    -- A fixed text: the message of a crash is the text of the exception.
    local replies = handle:filterContext()
    body = replies:get(status)
    if not body then
      status = "500"
      body = replies:get(status)
    end
  end
  write(handle, status, body)
end
