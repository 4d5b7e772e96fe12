-- The rate limiter's state, shared by all processes. What a window does, and why, is told in window.py: this is the same
-- in Lua, but that a token in flight belongs to a permit here, which ends by itself if its process has died.
--
-- KEYS[1] is a hash: "state" holds everything but the permits in flight, each of which is a field "p:<id>". All times
-- are whole microseconds on Redis's clock.
--
-- acquire <extents> <id> <lease> <ahead>: takes a token of each window for the permit <id>, or none at all, and none
--     either when <id> is empty. Returns {1, now, mark of each window}, or {0, wait, pause, wait of whoever is first}.
-- report <reports>: what became of permits, in the order in which it became known. Returns nothing.

local CLUMPS, FINE, COARSE = 32, 1 / 1000, 2 / 32
local BELIEVED = 60000000

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function new_window(extent, now)
  local limit, per, away, name = extent[1], extent[2], extent[3], extent[4]
  return {
    most = limit, limit = limit, per = per, away = away, name = name, born = now,
    held = 0, returned = 0, refused = 0, began = 0, clumps = {}, -- clumps: when it comes back, how many, when, ...
    told = 0, others = 0, believed = 0, -- when the permit was given whose answer told, others' tokens, until when
  }
end

local function span(window, clumps)
  if clumps < CLUMPS / 2 then
    return window.per * FINE
  end
  return window.limit > CLUMPS and window.per * COARSE or 0
end

local function settle(window, moment)
  local clumps = window.clumps
  local last = #clumps
  local at = math.max(moment + window.away, clumps[last - 1] or 0)
  if last > 0 and moment - window.began <= span(window, last / 2) then
    clumps[last - 1], clumps[last] = at, clumps[last] + 1
  else
    window.began, clumps[last + 1], clumps[last + 2] = moment, at, 1
  end
end

local function expire(window, now)
  local clumps, back, kept = window.clumps, 0, {}
  for i = 1, #clumps, 2 do
    if clumps[i] <= now then
      back = back + clumps[i + 1]
    else
      kept[#kept + 1], kept[#kept + 2] = clumps[i], clumps[i + 1]
    end
  end
  window.clumps, window.held, window.returned = kept, window.held - back, window.returned + back
  if window.believed <= now then
    window.others = 0
  end
end

-- If the clock was set back, nothing stays away for longer than a window on that account.
local function set_back(window, now)
  local clumps = window.clumps
  for i = 1, #clumps, 2 do
    clumps[i] = math.min(clumps[i], now + window.away)
  end
  window.born, window.began, window.told = now, now, math.min(window.told, now)
  window.believed = math.min(window.believed, now + BELIEVED)
end

local function wait(window, now, ahead)
  local others, clumps = window.others, window.clumps
  local rounds = math.floor(ahead / window.limit)
  local later = rounds * window.away
  local missing = ahead - rounds * window.limit + 1 + window.held + others - window.limit
  if missing <= 0 then
    return later
  end
  for i = 1, #clumps, 2 do
    if others > 0 and window.believed <= clumps[i] then
      missing, others = missing - others, 0
      if missing <= 0 then
        return window.believed - now + later
      end
    end
    missing = missing - clumps[i + 1]
    if missing <= 0 then
      return clumps[i] - now + later
    end
  end
  if others > 0 and missing <= others then
    return window.believed - now + later
  end
  return later + window.away -- the other tokens are in flight
end

local function learn(window, told, now, number, mark)
  local limit, remaining, resets_in = told[1], told[3], told[4]
  if number < window.born or number < window.told then
    return -- what is older tells nothing new
  end
  local ours = window.held + window.returned - window.refused - mark
  local believed = math.min(2 * window.per, BELIEVED)
  if resets_in >= 0 then
    believed = math.min(window.per, resets_in)
  end
  window.limit = math.max(1, math.min(window.most, limit))
  window.told, window.believed = number, now + believed
  window.others = math.max(0, limit - remaining - ours)
end

local function end_leases(state, now)
  local fields = redis.call('HGETALL', KEYS[1])
  state.next_lease = 0
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'p:' then
      local permit = cmsgpack.unpack(fields[i + 1])
      if permit.lease <= now then
        redis.call('HDEL', KEYS[1], fields[i])
        for _, id in ipairs(permit.windows) do
          settle(state.windows[id], permit.lease)
        end
      elseif state.next_lease == 0 or permit.lease < state.next_lease then
        state.next_lease = permit.lease
      end
    end
  end
end

local function save(state, now)
  local keep = state.paused
  for id, window in pairs(state.windows) do
    local clumps, flying = window.clumps, window.held
    for i = 2, #clumps, 2 do
      flying = flying - clumps[i]
    end
    keep = math.max(keep, clumps[#clumps - 1] or 0, window.believed)
    if flying > 0 then
      keep = math.max(keep, state.last_lease + window.away)
    end
    if window.held == 0 and window.believed <= now then
      state.windows[id] = nil
    end
  end
  redis.call('HSET', KEYS[1], 'state', cmsgpack.pack(state))
  redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil((keep - now) / 1000)))
end

local function load(now)
  local packed = redis.call('HGET', KEYS[1], 'state')
  local state = packed and cmsgpack.unpack(packed) or { paused = 0, windows = {}, last_lease = 0, next_lease = 0 }
  local changed = state.next_lease > 0 and state.next_lease <= now
  if changed then
    end_leases(state, now)
  end
  for _, window in pairs(state.windows) do
    if math.max(window.born, window.began) > now then
      set_back(window, now)
      changed = true
    end
    expire(window, now)
  end
  if changed then
    save(state, now)
  end
  return state
end

local function granted(now, windows)
  local reply = { 1, now }
  for _, window in ipairs(windows) do
    reply[#reply + 1] = window.returned - window.refused
  end
  return reply
end

local function acquire(extents, id, lease, ahead)
  local now = clock()
  local state = load(now)
  local windows, ids, longest, first = {}, {}, 0, 0
  for i, extent in ipairs(extents) do
    ids[i] = extent[5]
    windows[i] = state.windows[ids[i]] or new_window(extent, now)
    longest = math.max(longest, wait(windows[i], now, ahead))
    first = math.max(first, wait(windows[i], now, 0))
  end
  if id ~= '' and redis.call('HEXISTS', KEYS[1], 'p:' .. id) == 1 then
    return granted(now, windows) -- asked a second time, as the first answer was lost
  end
  local pause = math.max(0, state.paused - now)
  if id == '' or longest > 0 or pause > 0 then
    return { 0, longest, pause, first }
  end
  local reply = granted(now, windows)
  for i, window in ipairs(windows) do
    window.held = window.held + 1
    state.windows[ids[i]] = window
  end
  local ends = now + lease
  state.last_lease = math.max(state.last_lease, ends)
  state.next_lease = state.next_lease == 0 and ends or math.min(state.next_lease, ends)
  redis.call('HSET', KEYS[1], 'p:' .. id, cmsgpack.pack({ lease = ends, windows = ids }))
  save(state, now)
  return reply
end

local function report(reports)
  local now = clock()
  local state = load(now)
  for _, each in ipairs(reports) do
    local field, how, pause, number, marks, told = 'p:' .. each[1], each[2], each[3], each[4], each[5], each[6]
    local packed = redis.call('HGET', KEYS[1], field)
    if packed then
      redis.call('HDEL', KEYS[1], field)
      for _, id in ipairs(cmsgpack.unpack(packed).windows) do
        local window = state.windows[id]
        if how == 'released' then
          window.held = window.held - 1
        else
          window.refused = window.refused + (how == 'refused' and 1 or 0)
          settle(window, now)
        end
      end
    end
    for _, allowance in ipairs(told) do
      for id, window in pairs(state.windows) do
        if window.per == allowance[2] and window.name == '' then
          learn(window, allowance, now, number, marks[id] or 0)
        end
      end
    end
    if pause > 0 then
      state.paused = math.max(state.paused, now + pause)
    end
  end
  save(state, now)
end

if ARGV[1] == 'acquire' then
  return acquire(cjson.decode(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
end
report(cjson.decode(ARGV[2]))
