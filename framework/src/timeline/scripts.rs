//! What is done to a timeline's list in Redis in one step.
//!
//! A list holds items, each once, as 16 hexadecimal digits, the newest first however they came; so
//! that a page is read without the rest. Last comes one element that says what the list is: `b` and
//! a token, while somebody builds it, or `m` and the mark above which it is complete. Either ends in
//! the identity of the server that it was written on ([`IDENTITY`]): on another one the list may have
//! lost items, and is as good as none. Ids are compared as texts of one width, never as numbers:
//! Lua's can't hold 64 bits.

use crate::redis::{IDENTITY, Script};

/// Finds the first of so many items that is below one: most often the newest, else by halving.
const FIND: &str = "
local function item_at(place) return redis.call('LINDEX', KEYS[1], place) end
local function find_below(item, count)
  if count == 0 or item_at(0) < item then return 0 end
  local first, past = 1, count
  while first < past do
    local middle = math.floor((first + past) / 2)
    if item_at(middle) < item then past = middle else first = middle + 1 end
  end
  return first
end
";

/// Gives the items below one, as many as are asked for, and last what the list is; nothing, unless it
/// is built. Keeps it from expiring. Arguments: the item, the number, the seconds until it expires.
const READ: &str = "
local last = item_at(-1)
if not last or string.sub(last, 1, 1) ~= 'm' then return false end
local count = redis.call('LLEN', KEYS[1]) - 1
local first = find_below(ARGV[1], count)
local past, items = math.min(first + tonumber(ARGV[2]), count), {}
if first < past then items = redis.call('LRANGE', KEYS[1], first, past - 1) end
items[#items + 1] = last
-- Seldom, as it is written to replicas.
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) / 2 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return items
";

/// Adds an item where it belongs, if the list is there. When that makes it longer than it may grow,
/// it goes back to its length. Arguments: the item, the length, and how many items it may grow to.
const PUSH: &str = "
local last = item_at(-1)
if not last then return 0 end
local is_built = string.sub(last, 1, 1) == 'm'
if is_built and ARGV[1] <= string.sub(last, 2, 17) then return 0 end
local count = redis.call('LLEN', KEYS[1]) - 1
local place = find_below(ARGV[1], count)
if place == 0 then
  redis.call('LPUSH', KEYS[1], ARGV[1])
elseif item_at(place - 1) == ARGV[1] then
  return 0
else
  redis.call('LINSERT', KEYS[1], 'BEFORE', item_at(place), ARGV[1])
end
if is_built and count + 1 > tonumber(ARGV[3]) then
  local mark = item_at(ARGV[2])
  redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
  redis.call('RPUSH', KEYS[1], 'm' .. mark .. string.sub(last, 18))
end
return 1
";

/// Takes an item out of a list. One that is being built may have read it in the shards before it was
/// deleted: it is dropped. Argument: the item.
const REMOVE: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 1, 1) == 'b' then return redis.call('DEL', KEYS[1]) end
return redis.call('LREM', KEYS[1], 0, ARGV[1])
";

/// Begins to build a list, unless it is there or being built: gives 1 or 0. One that is not
/// finished in time vanishes. Arguments: a token, the milliseconds that building may take.
const BEGIN: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 18) == identity() then return 0 end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], 'b' .. ARGV[1] .. identity())
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// Finishes a list that is still being built under this token, with what was pushed meanwhile, and
/// gives it: the newest of all items above the mark; what there is no room for raises it. Arguments:
/// the token, the most items kept, the seconds until it expires, the mark, and the items found.
const FINISH: &str = "
if redis.call('LINDEX', KEYS[1], -1) ~= 'b' .. ARGV[1] .. identity() then return false end
local items, mark, length = redis.call('LRANGE', KEYS[1], 0, -2), ARGV[4], tonumber(ARGV[2])
for n = 5, #ARGV do items[#items + 1] = ARGV[n] end
table.sort(items, function(a, b) return a > b end)
local kept = {}
for _, item in ipairs(items) do
  if item <= mark then break end
  if item ~= kept[#kept] then
    if #kept == length then mark = item break end
    kept[#kept + 1] = item
  end
end
kept[#kept + 1] = 'm' .. mark .. identity()
redis.call('DEL', KEYS[1])
for first = 1, #kept, 1000 do
  redis.call('RPUSH', KEYS[1], unpack(kept, first, math.min(first + 999, #kept)))
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return kept
";

pub(super) struct Scripts {
    pub(super) read: Script,
    pub(super) push: Script,
    pub(super) remove: Script,
    pub(super) begin: Script,
    pub(super) finish: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            read: Script::new(&format!("{FIND}{READ}")),
            push: Script::new(&format!("{FIND}{PUSH}")),
            remove: Script::new(REMOVE),
            begin: Script::new(&format!("{IDENTITY}{BEGIN}")),
            finish: Script::new(&format!("{IDENTITY}{FINISH}")),
        }
    }
}
