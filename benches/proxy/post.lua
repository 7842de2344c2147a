-- Posts the body given in BENCH_BODY, with a number for {n} so that no cache has the answer, and writes what happened as one line of JSON.
local before, after = os.getenv("BENCH_BODY"):match("^(.-){n}(.*)$")
local count = tonumber(os.getenv("BENCH_FIRST"))

wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json"
wrk.body = os.getenv("BENCH_BODY")

if before then
  function request()
    count = count + 1
    return wrk.format(nil, nil, nil, before .. count .. after)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests": %d, "seconds": %.6f, "errors": %d, "p50_ms": %.4f, "p99_ms": %.4f, "max_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
