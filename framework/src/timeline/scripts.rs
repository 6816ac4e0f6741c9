//! What is done to a timeline's list in Redis in one step.
//!
//! A list holds items in order of arrival, the newest first, each as 16 hexadecimal digits, and
//! last one element that says what the list is: `b` and a token, while somebody builds it, or `m`
//! and the mark above which it is complete. Either ends in the identity of the server that it was
//! written on ([`IDENTITY`]): on another one the list may have lost items, and is as good as none.
//! Ids are compared as texts of one width, never as numbers: Lua's can't hold 64 bits.

use crate::redis::{IDENTITY, Script};

/// Keeps the newest of `items` above `mark`; what there is no room for raises the mark.
const KEEP: &str = "
local function keep(items, mark, length)
  table.sort(items, function(a, b) return a > b end)
  local kept, last = {}, nil
  for _, item in ipairs(items) do
    if item <= mark then break end
    if item ~= last then
      if #kept == length then mark = item break end
      kept[#kept + 1] = item
      last = item
    end
  end
  return kept, mark
end
local function write(items)
  redis.call('DEL', KEYS[1])
  for first = 1, #items, 1000 do
    redis.call('RPUSH', KEYS[1], unpack(items, first, math.min(first + 999, #items)))
  end
end
";

/// Keeps a list from expiring, unless it is being built. Arguments: the seconds until it expires.
const RENEW: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
if last and string.sub(last, 1, 1) == 'm' then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return 1
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
/// gives it. Arguments: the token, the most items kept, the seconds until it expires, the mark,
/// and the items found.
const FINISH: &str = "
if redis.call('LINDEX', KEYS[1], -1) ~= 'b' .. ARGV[1] .. identity() then return false end
local items = redis.call('LRANGE', KEYS[1], 0, -2)
for n = 5, #ARGV do items[#items + 1] = ARGV[n] end
local kept, mark = keep(items, ARGV[4], tonumber(ARGV[2]))
kept[#kept + 1] = 'm' .. mark .. identity()
write(kept)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return kept
";

/// Brings a list that has grown back to its length. Arguments: the most items kept.
const TRIM: &str = "
local last = redis.call('LINDEX', KEYS[1], -1)
if not last or string.sub(last, 1, 1) ~= 'm' then return 0 end
local left = redis.call('PTTL', KEYS[1])
local items = redis.call('LRANGE', KEYS[1], 0, -2)
local kept, mark = keep(items, string.sub(last, 2, 17), tonumber(ARGV[1]))
kept[#kept + 1] = 'm' .. mark .. string.sub(last, 18)
write(kept)
if left >= 0 then redis.call('PEXPIRE', KEYS[1], left) end
return 1
";

pub(super) struct Scripts {
    pub(super) renew: Script,
    pub(super) begin: Script,
    pub(super) finish: Script,
    pub(super) trim: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            renew: Script::new(RENEW),
            begin: Script::new(&format!("{IDENTITY}{BEGIN}")),
            finish: Script::new(&format!("{IDENTITY}{KEEP}{FINISH}")),
            trim: Script::new(&format!("{KEEP}{TRIM}")),
        }
    }
}
