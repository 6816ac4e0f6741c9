//! Atomic operations on keys of the second level, as Lua scripts. Records are described in
//! [`super::record`].

use crate::redis::Script;

/// Leases a key to a loader. Returns nothing if the loader may load, otherwise the record. Records
/// written on another server are ignored. Idempotent. Arguments: the token, this server's identity, the
/// lease in milliseconds.
const LEASE: &str = "
local there = redis.call('GET', KEYS[1])
if there then
  local letter = string.sub(there, 1, 1)
  if (letter == 'l' and string.sub(there, 2) ~= ARGV[1]) or letter == 'w' then return there end
  if (letter == 'v' or letter == 'a') and string.sub(there, 18, 33) == ARGV[2] then return there end
end
redis.call('SET', KEYS[1], 'l' .. ARGV[1], 'PX', ARGV[3])
return false
";

/// Lets one loader refresh a value, which stays: replaces its token, and extends its freshness so that
/// other readers don't refresh it too. Returns 1, or 0 if the record has changed. Arguments: the
/// record's head as the loader read it, the token, the new end of its freshness.
const REFRESH: &str = "
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
redis.call('SETRANGE', KEYS[1], 1, ARGV[2])
redis.call('SETRANGE', KEYS[1], 44, ARGV[3])
return 1
";

/// Stores a loaded value. Returns 1, or 0 if the loader no longer holds the key: its lease expired, or
/// the row was changed after the load began. Arguments: the token, the record, its lifetime in
/// milliseconds.
const STORE: &str = "
local there = redis.call('GETRANGE', KEYS[1], 0, 16)
local letter = string.sub(there, 1, 1)
if letter == 'w' or string.sub(there, 2) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Releases a lease, so that another process may load. Arguments: the token.
const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == 'l' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// The active blocks of a key, except one writer's. Each block expires on its own, so the blocks of
/// writers that died expire however many writers follow. One that ends later than any can was made while its
/// writer's clock was wrong.
const BLOCKS: &str = "
local function other_blocks(key, token, now, latest)
  local there = redis.call('GET', key) or ''
  local blocks = {}
  for at = 2, string.sub(there, 1, 1) == 'w' and #there or 0, 27 do
    local ends = string.sub(there, at + 16, at + 26)
    if string.sub(there, at, at + 15) ~= token and ends > now and ends <= latest then
      blocks[#blocks + 1] = string.sub(there, at, at + 26)
    end
  end
  return table.concat(blocks), there
end
";

/// Blocks fills of keys for a change, in addition to other writers' blocks. Idempotent. Arguments: the
/// writer's token, the time, the latest end of any block, when this one ends, milliseconds until then.
const BLOCK_FILLS: &str = "
for _, key in ipairs(KEYS) do
  local others = other_blocks(key, ARGV[1], ARGV[2], ARGV[3])
  redis.call('SET', key, 'w' .. others .. ARGV[1] .. ARGV[4], 'PX', ARGV[5])
end
return 1
";

/// Ends a change: values read from now on are cached, unless another writer blocks the key. Returns for each key
/// 1 if nothing can have been cached since the change began. Returns 0 if the block was lost, as in a
/// server's restart, so that an old value may have been cached meanwhile. Arguments: the writer's token,
/// the time, the latest end of any block.
const UNBLOCK_FILLS: &str = "
local held = {}
for n, key in ipairs(KEYS) do
  local blocks, there = other_blocks(key, ARGV[1], ARGV[2], ARGV[3])
  if blocks == '' then redis.call('DEL', key) else redis.call('SET', key, 'w' .. blocks, 'KEEPTTL') end
  local is_held = string.sub(there, 1, 1) == 'w' and string.find(there, ARGV[1], 2, true)
  held[n] = is_held and 1 or 0
end
return held
";

pub(super) struct Scripts {
    pub(super) lease: Script,
    pub(super) refresh: Script,
    pub(super) store: Script,
    pub(super) release: Script,
    /// Sent in full, because it is pipelined with other commands: after a server's restart an unknown
    /// script hash would fail them all.
    pub(super) block_fills: String,
    pub(super) unblock_fills: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            lease: Script::new(LEASE),
            refresh: Script::new(REFRESH),
            store: Script::new(STORE),
            release: Script::new(RELEASE),
            block_fills: format!("{BLOCKS}{BLOCK_FILLS}"),
            unblock_fills: Script::new(&format!("{BLOCKS}{UNBLOCK_FILLS}")),
        }
    }
}
