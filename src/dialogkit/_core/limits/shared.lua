-- The rate limiter's state, shared by all processes. What a window does, and why, is told in window.py: this is the same
-- in Lua, but that a token in flight belongs to a permit here, which ends by itself (its lease) if its process has died.
--
-- KEYS[1] is a hash: "state" holds everything but the permits in flight, each of which is a field "p:<id>". All times
-- are whole microseconds on Redis's clock. "born" is when the state was made: who knows another one than there is knows
-- what this Redis has lost, and tells.
--
-- acquire <extents> <id> <lease> <ahead> <born> <holds>: takes a token of each window for the permit <id>, or none at
--     all, and none either when <id> is empty. Returns {1, born}; {0, born, wait, pause, wait of whoever is first}; or
--     {2, born} if the state is not the one that was born at <born>, and the process <holds> tokens that it should tell.
-- report <reports>: what became of permits, in the order in which it became known. Returns nothing.
-- tell <id> <born> <windows> <flying> <lease>: adds tokens that a process has taken and this state does not know: when
--     they come back, or for which permit they are in flight. Of the same <id> only the first counts. Returns {1, born},
--     or {2, born} if this is not the state that was born at <born>.
-- show <extents>: returns {pause, of each window: limit, free}.

local CLUMPS, FINE, COARSE, SKEW = 32, 1 / 1000, 2 / 32, 5 / 10000
local SECOND = 1000000
local BELIEVED, LONGEST_PAUSE, LONGEST_WINDOW, PROBING = 60 * SECOND, 900 * SECOND, 86400 * SECOND, SECOND / 10
local UNTOLD = 10 * SECOND -- for so long a new state waits for what processes have to tell
local ROLL_CALL = 1.3 * SECOND -- heads of lines ask each second, so by then all have told that have one

local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * SECOND + tonumber(time[2])
end

local function new_window(extent, now)
  local limit, per, away, name = extent[1], extent[2], extent[3], extent[4]
  return {
    most = limit, limit = limit, per = per, away = away, name = name, born = now,
    held = 0, returned = 0, refused = 0, began = 0, clumps = {}, -- clumps: when it comes back, how many, when, ...
    told = 0, since = 0, others = 0, believed = 0, -- by which permit and when it was told, others' tokens, until when
    anew = 0, before = 0, -- when the window begins anew, and which tokens come back then: those settled before
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

-- When the tokens of a clump come back.
local function due(window, at)
  if window.anew > 0 and at <= window.before + window.away then
    return math.min(at, window.anew)
  end
  return at
end

local function expire(window, now)
  local clumps, back, kept = window.clumps, 0, {}
  for i = 1, #clumps, 2 do
    if due(window, clumps[i]) <= now then
      back = back + clumps[i + 1]
    else
      kept[#kept + 1], kept[#kept + 2] = clumps[i], clumps[i + 1]
    end
  end
  window.clumps, window.held, window.returned = kept, window.held - back, window.returned + back
  if window.anew <= now then
    window.anew = 0
  end
  if window.believed <= now then
    window.others = 0
    if window.told > 0 and window.since + LONGEST_PAUSE <= now then
      window.limit, window.told = window.most, 0
    end
  end
end

-- If the clock was set back, nothing stays away for longer than a window on that account.
local function set_back(window, now)
  local clumps = window.clumps
  for i = 1, #clumps, 2 do
    clumps[i] = math.min(clumps[i], now + window.away)
  end
  window.born, window.began, window.told = now, now, math.min(window.told, now)
  window.since, window.anew = math.min(window.since, now), 0
  window.believed = math.min(window.believed, now + BELIEVED)
end

local function flying(window)
  local count = window.held
  for i = 2, #window.clumps, 2 do
    count = count - window.clumps[i]
  end
  return count
end

-- When tokens come back, and how many, in order.
local function coming(window)
  local clumps, list = window.clumps, {}
  for i = 1, #clumps, 2 do
    list[#list + 1] = { due(window, clumps[i]), clumps[i + 1] }
  end
  if window.anew > 0 then
    list[#list + 1] = { window.anew, flying(window) } -- at the soonest
  end
  if window.others > 0 then
    list[#list + 1] = { window.believed, window.others }
  end
  table.sort(list, function(one, other) return one[1] < other[1] end)
  return list
end

local function wait(window, now, ahead)
  local rounds = math.floor(ahead / window.limit)
  local later = rounds * window.away
  if window.anew > 0 and window.anew < now + later then
    return window.anew - now + (rounds - 1) * window.away
  end
  local missing = ahead - rounds * window.limit + 1 + window.held + window.others - window.limit
  if missing <= 0 then
    return later
  end
  for _, each in ipairs(coming(window)) do
    missing = missing - each[2]
    if missing <= 0 then
      return each[1] - now + later
    end
  end
  return later + window.away -- the other tokens are in flight
end

local function learn(window, told, now, number, mark)
  local limit, remaining, resets_in, begins_anew = told[1], told[3], told[4], told[5]
  if number < window.born or number < window.told then
    return -- what is older tells nothing new
  end
  local ours = window.held + window.returned - window.refused - mark
  local believed = math.min(2 * window.per, BELIEVED)
  if resets_in >= 0 then
    believed = math.min(window.per, LONGEST_WINDOW, resets_in)
  end
  window.limit = math.max(1, math.min(window.most, limit))
  window.told, window.since, window.believed, window.anew = number, now, now + believed, 0
  window.others = math.max(0, limit - remaining - ours)
  if begins_anew == 1 and resets_in >= 0 then
    window.anew, window.before = now + believed, number + math.floor(believed * (1 - SKEW))
  end
end

-- Of a window that no limit is about (a day, for most), it is kept that nothing is left of it.
local function learn_spent(state, told, now, number)
  local per, remaining, resets_in = told[2], told[3], told[4]
  if number < state.spent_told then
    return
  end
  if remaining == 0 and resets_in >= 0 then
    state.spent, state.spent_per = now + math.min(per, LONGEST_WINDOW, resets_in), per
    state.spent_told = number
  elseif state.spent_per == per then
    state.spent, state.spent_told = 0, number
  end
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
  local keep = math.max(state.paused, state.spent, state.keep)
  if state.must_probe then
    keep = math.max(keep, state.paused + LONGEST_PAUSE)
  end
  for id, window in pairs(state.windows) do
    keep = math.max(keep, window.clumps[#window.clumps - 1] or 0, window.believed)
    if flying(window) > 0 then
      keep = math.max(keep, state.last_lease + window.away)
    end
    if window.held == 0 and window.believed <= now then
      state.windows[id] = nil
    end
  end
  for id, ends in pairs(state.heard) do
    state.heard[id] = ends > now and ends or nil
  end
  redis.call('HSET', KEYS[1], 'state', cmsgpack.pack(state))
  redis.call('PEXPIRE', KEYS[1], math.max(1, math.ceil((keep - now) / 1000)))
end

local function load(now)
  local packed = redis.call('HGET', KEYS[1], 'state')
  local state = packed and cmsgpack.unpack(packed) or {
    born = now, keep = 0, roll_call = 0, windows = {}, last_lease = 0, next_lease = 0,
    paused = 0, must_probe = false, probe = '', -- the permit of the one call that goes first after a pause that was cut
    spent = 0, spent_per = 0, spent_told = 0, heard = {},
  }
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

local function pause(state, now)
  local left = math.max(0, state.paused - now, state.spent - now, state.roll_call - now)
  if state.probe ~= '' then
    if redis.call('HEXISTS', KEYS[1], 'p:' .. state.probe) == 1 then
      return math.max(left, PROBING)
    end
    state.probe = '' -- its process has died
  end
  return left
end

-- Notes a permit, whose tokens are taken.
local function let_go(state, id, ids, now, lease)
  local marks = {}
  for i, each in ipairs(ids) do
    local window = state.windows[each]
    marks[i] = window.returned - window.refused
    window.held = window.held + 1
  end
  local ends = now + lease
  state.last_lease = math.max(state.last_lease, ends)
  state.next_lease = state.next_lease == 0 and ends or math.min(state.next_lease, ends)
  local permit = { lease = ends, windows = ids, marks = marks, number = now }
  redis.call('HSET', KEYS[1], 'p:' .. id, cmsgpack.pack(permit))
end

-- Another state has been lost: nobody goes before those had time to speak who hold tokens.
local function unfamiliar(state, now)
  if state.roll_call == 0 then
    state.roll_call = now + ROLL_CALL
  end
  state.keep = math.max(state.keep, now + UNTOLD)
  save(state, now)
end

local function acquire(extents, id, lease, ahead, born, holds)
  local now = clock()
  local state = load(now)
  if holds == 1 and born ~= state.born then
    unfamiliar(state, now)
    return { 2, state.born }
  end
  local windows, ids, longest, first = {}, {}, 0, 0
  for i, extent in ipairs(extents) do
    ids[i] = extent[5]
    windows[i] = state.windows[ids[i]] or new_window(extent, now)
    longest = math.max(longest, wait(windows[i], now, ahead))
    first = math.max(first, wait(windows[i], now, 0))
  end
  if id ~= '' and redis.call('HEXISTS', KEYS[1], 'p:' .. id) == 1 then
    return { 1, state.born } -- asked a second time, as the first answer was lost
  end
  local paused = pause(state, now)
  if id == '' or longest > 0 or paused > 0 then
    return { 0, state.born, longest, paused, first }
  end
  for i, window in ipairs(windows) do
    state.windows[ids[i]] = window
  end
  let_go(state, id, ids, now, lease)
  if state.must_probe then
    state.must_probe, state.probe = false, id
  end
  save(state, now)
  return { 1, state.born }
end

local function end_permit(state, permit, how, now)
  for _, id in ipairs(permit.windows) do
    local window = state.windows[id]
    if how == 'released' then
      window.held = window.held - 1
    else
      window.refused = window.refused + (how == 'refused' and 1 or 0)
      settle(window, now)
    end
  end
end

local function hear(state, permit, allowance, now)
  local is_known = false
  for id, window in pairs(state.windows) do
    if window.per == allowance[2] and window.name == '' then
      local mark = 0
      for i, each in ipairs(permit.windows) do
        mark = each == id and permit.marks[i] or mark
      end
      learn(window, allowance, now, permit.number, mark)
      is_known = true
    end
  end
  if not is_known then
    learn_spent(state, allowance, now, permit.number)
  end
end

local function report(reports)
  local now = clock()
  local state = load(now)
  for _, each in ipairs(reports) do
    local id, how, asked, told = each[1], each[2], each[3], each[4]
    local packed = redis.call('HGET', KEYS[1], 'p:' .. id)
    if packed then
      local permit = cmsgpack.unpack(packed)
      redis.call('HDEL', KEYS[1], 'p:' .. id)
      end_permit(state, permit, how, now)
      for _, allowance in ipairs(told) do
        hear(state, permit, allowance, now)
      end
      if state.probe == id then
        state.probe, state.must_probe = '', how == 'released'
      end
    end
    if asked > 0 then
      state.paused = math.max(state.paused, now + math.min(asked, LONGEST_PAUSE))
      state.must_probe = state.must_probe or asked > LONGEST_PAUSE
    end
  end
  save(state, now)
end

local function add_clumps(window, now, added)
  local list = {}
  for i = 1, #window.clumps, 2 do
    list[#list + 1] = { window.clumps[i], window.clumps[i + 1] }
  end
  for _, each in ipairs(added) do
    list[#list + 1] = { now + math.min(each[1], window.away), each[2] }
    window.held = window.held + each[2]
  end
  table.sort(list, function(one, other) return one[1] < other[1] end)
  while #list > CLUMPS do -- neighbours come back together, with the later one
    local fewer = {}
    for i = 1, #list, 2 do
      local one, other = list[i], list[i + 1]
      fewer[#fewer + 1] = other and { other[1], one[2] + other[2] } or one
    end
    list = fewer
  end
  window.clumps = {}
  for _, each in ipairs(list) do
    window.clumps[#window.clumps + 1], window.clumps[#window.clumps + 2] = each[1], each[2]
  end
end

local function tell(id, born, rows, permits, lease)
  local now = clock()
  local state = load(now)
  if born ~= 0 and born ~= state.born then
    unfamiliar(state, now)
    return { 2, state.born }
  end
  if state.heard[id] then
    return { 1, state.born }
  end
  for _, row in ipairs(rows) do
    state.windows[row[5]] = state.windows[row[5]] or new_window(row, now)
    add_clumps(state.windows[row[5]], now, row[6])
  end
  for _, each in ipairs(permits) do
    if redis.call('HEXISTS', KEYS[1], 'p:' .. each[1]) == 0 then
      let_go(state, each[1], each[2], now, lease)
    end
  end
  state.heard[id] = now + lease -- it may be told again, if the answer is lost
  save(state, now)
  return { 1, state.born }
end

local function show(extents)
  local now = clock()
  local state = load(now)
  local reply = { pause(state, now) }
  for i, extent in ipairs(extents) do
    local window = state.windows[extent[5]] or new_window(extent, now)
    reply[2 * i] = window.limit
    reply[2 * i + 1] = math.max(0, window.limit - window.held - window.others)
  end
  return reply
end

local command = ARGV[1]
if command == 'acquire' then
  local lease, ahead, born, holds = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  return acquire(cjson.decode(ARGV[2]), ARGV[3], lease, ahead, born, holds)
elseif command == 'tell' then
  return tell(ARGV[2], tonumber(ARGV[3]), cjson.decode(ARGV[4]), cjson.decode(ARGV[5]), tonumber(ARGV[6]))
elseif command == 'show' then
  return show(cjson.decode(ARGV[2]))
end
report(cjson.decode(ARGV[2]))
