-- HubSpot calls of about 1 kB, each a new contact.
local head = '[{"eventId":'
local middle = ',"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
  .. '"subscriptionType":"contact.creation","attemptNumber":0,"objectId":'
local tail = ',"changeSource":"CRM","changeFlag":"NEW","appId":54321,"note":"'
  .. string.rep("abcdefghij", 75) .. '"}]'
local serial = os.time() * 1000000 % 4000000000

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

request = function()
  serial = serial + 1
  return wrk.format(nil, nil, nil, head .. serial .. middle .. serial .. tail)
end

-- About that many a second, over 64 connections; else as many as it takes.
local rate = tonumber(os.getenv("BENCH_RATE") or "0")

if rate > 0 then
  delay = function()
    return math.random(0, 2 * 64000 / rate)
  end
end

done = function(summary, latency, requests)
  io.write(string.format("WRK %d %d %d %d %d\n", summary.requests,
    summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout, latency:percentile(99)))
end
