-- Load for `alike serve` with wrk: recommendations of users drawn at random from a file of ids, one a line.
--   IDS=ids.txt PAUSE=100 wrk -t2 -c50 -d30s -s users.lua http://127.0.0.1:8080
-- PAUSE is the mean time in milliseconds that each connection waits between two requests, uniform from 0 to twice as much:
-- 50 connections that wait 100 ms ask about 500 times a second. Without it each asks again at once.
local ids = {}
for line in io.lines(os.getenv("IDS") or "ids.txt") do ids[#ids + 1] = line end
local pause = tonumber(os.getenv("PAUSE") or "0")

-- Each thread has a state of its own: the address of a table tells them apart.
init = function() math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16) % 2 ^ 31) end

request = function()
  return wrk.format("GET", "/v1/users/" .. ids[math.random(#ids)] .. "/recommendations?top=20")
end

if pause > 0 then
  delay = function() return math.random(0, 2 * pause) end
end

done = function(summary, latency)
  for _, p in ipairs({ 50, 95, 99 }) do io.write(("p%d %.2f ms  "):format(p, latency:percentile(p) / 1000)) end
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(("%.0f requests/s, %d failed\n"):format(summary.requests / summary.duration * 1e6, failed))
end
