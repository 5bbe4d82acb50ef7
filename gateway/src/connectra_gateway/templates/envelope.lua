-- Response side of the REST API: HTTP status and error body, which a gRPC service can only send as metadata.
--
--   x-http-code   initial metadata   status of a response other than 200 (201, 204, 207, 304; 503 of /health/db)
--   x-error-json  error trailer      the complete error envelope
--   x-error-http  error trailer      its HTTP status, where it differs from the transcoder's mapping
--   x-http-method set by the route   the caller's verb
--
-- Listed before the transcoder, so it runs after it on responses. Disabled on the routes of native gRPC.

local INTERNAL = { "x-http-code", "x-http-method", "x-error-json", "x-error-http", "grpc-status", "grpc-message", "grpc-status-details-bin" }

-- An error arrives either in the headers of a trailers-only response (context.abort before any initial metadata) or in real
-- trailers after initial metadata.
local function find(name, headers, trailers)
  return headers:get(name) or (trailers and trailers:get(name)) or nil
end

-- Replaces status and body; without a body it stays. The answer to HEAD has the headers of GET and no body.
local function write(handle, status, body, head)
  local buffer = handle:body(true)
  local length = body and buffer:setBytes(body) or buffer:length()
  if head then buffer:setBytes("") end
  -- body() invalidates what headers() returned before.
  local headers = handle:headers()
  headers:replace(":status", status)
  if length == 0 then
    headers:remove("content-type")
    headers:remove("content-length")
  else
    if body then headers:replace("content-type", "application/json") end
    headers:replace("content-length", tostring(length))
    -- An empty body would be packed into one that is not.
    if head then headers:replace("cache-control", "no-store, no-transform") end
  end
end

-- What RESOURCE_EXHAUSTED means when no limit on requests said it: the refusals of gRPC itself.
local function exhausted(message)
  if message:find("Received message larger", 1, true) then return "413" end
  if message:find("metadata", 1, true) then return "431" end
  if message:find("Sent message larger", 1, true) then return "500" end
  return "503"
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  local head = headers:get("x-http-method") == "HEAD"

  if status == "200" then
    local code = headers:get("x-http-code")
    for _, name in ipairs(INTERNAL) do headers:remove(name) end
    if headers:get("access-control-allow-methods") then
      write(handle, "204", "") -- a preflight, to which Envoy's CORS filter replies 200
    elseif code == "204" or code == "304" then
      write(handle, code, "")
    else
      if code and code:match("^[245]%d%d$") then status = code end
      if head then
        write(handle, status, nil, head)
      else
        headers:replace(":status", status)
      end
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
  local of_service = find("grpc-status", headers, trailers) == "8" -- the limit on requests, for gRPC-Web, is UNAVAILABLE
  for _, name in ipairs(INTERNAL) do
    headers:remove(name)
    if trailers then trailers:remove(name) end
  end

  if body then
    if wanted and wanted:match("^[45]%d%d$") then status = wanted end
  else
    -- The service could not parse the transcoded request: invalid UTF-8 in the path.
    if status == "500" and message:find("DecodeError", 1, true) then status = "400" end
    if status == "429" and of_service then status = exhausted(message) end
    -- A fixed text: the message of a crash is the text of the exception.
    local replies = handle:filterContext()
    body = replies:get(status)
    if not body then
      status = "500"
      body = replies:get(status)
    end
  end
  write(handle, status, body, head)
  -- A client has too many calls at once: it may try again when one of them has ended.
  if status == "429" and not handle:headers():get("retry-after") then handle:headers():replace("retry-after", "1") end
end
