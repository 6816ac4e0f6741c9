//! Atomic operations on a timeline's list in Redis, as Lua scripts.
//!
//! A list holds distinct items as 16 hexadecimal digits, newest first whatever the order of arrival, so
//! that one page can be read on its own. The last element is the list's state: `b` and a token while it
//! is being built, or `m` and the mark above which it is complete. Either is followed by the identity of
//! the server that it was written on ([`IDENTITY`]), and by the generation of the databases that it was
//! built from: on another server the list may have lost items, and others of its items may exist in other
//! databases, so it is ignored. Ids are compared as text of fixed width: Lua's numbers can't hold 64 bits.

use crate::redis::{IDENTITY, Script};

/// Finds the index of the first of `count` items that is below `item`: usually 0, otherwise by binary
/// search.
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

/// Returns up to a number of items below an item, followed by the list's state; nothing if the list is
/// not complete. Renews the expiry. Arguments: the item, the number, the seconds until the list expires.
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

/// Inserts an item in order, if the list exists. If that makes the list longer than its maximum, trims
/// it to its length. Arguments: the item, the length, the maximum.
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

/// Removes an item from a list. A list that is being built is dropped: the build may have read the item
/// before it was deleted. Argument: the item.
const REMOVE: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 1, 1) == 'b' then return redis.call('DEL', KEYS[1]) end
return redis.call('LREM', KEYS[1], 0, ARGV[1])
";

/// Begins to build a list, unless it exists or is being built. Returns 1 or 0. A build that does not
/// finish in time expires. Arguments: a token, the milliseconds that the build may take, the generation.
const BEGIN: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
local origin = identity() .. ARGV[3]
if last and string.sub(last, 18) == origin then return 0 end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], 'b' .. ARGV[1] .. origin)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
";

/// Finishes the build with this token, including the items pushed meanwhile, and returns the list: the
/// newest items above the mark. If they don't all fit, the mark rises. Arguments: the token, the maximum
/// number of items, the seconds until the list expires, the mark, the generation, and the items found.
const FINISH: &str = "
local origin = identity() .. ARGV[5]
if redis.call('LINDEX', KEYS[1], -1) ~= 'b' .. ARGV[1] .. origin then return false end
local items, mark, length = redis.call('LRANGE', KEYS[1], 0, -2), ARGV[4], tonumber(ARGV[2])
for n = 6, #ARGV do items[#items + 1] = ARGV[n] end
table.sort(items, function(a, b) return a > b end)
local kept = {}
for _, item in ipairs(items) do
  if item <= mark then break end
  if item ~= kept[#kept] then
    if #kept == length then mark = item break end
    kept[#kept + 1] = item
  end
end
kept[#kept + 1] = 'm' .. mark .. origin
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
