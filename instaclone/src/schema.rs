//! The history of the tables. A released migration is never changed.

use sea_orm::sea_query::{ColumnDef, Index, Table, TableCreateStatement};
use tripod::db::{CreateTables, Migration};

/// All migrations, in order.
pub const MIGRATIONS: [Migration; 8] =
    [PRODUCT_PATH, USERNAME_PREFIX, CREDENTIALS, PASSWORDS, ERASURE, VISIBILITY, REPLIES, ENTITIES];

const PRODUCT_PATH: Migration = || {
    let account = table("account")
        .col(text("username"))
        .col(text("full_name"))
        .col(text("bio"))
        .col(ColumnDef::new("email").text())
        .col(ColumnDef::new("avatar").json_binary())
        .col(text("password_hash"))
        .col(ColumnDef::new("sign_up_key").text())
        .col(big("post_count"))
        .col(ColumnDef::new("deleted").boolean().not_null())
        .take();
    // Its key is the text: the shard is the hash of the name, and comes first in the key.
    let username = Table::create()
        .table("username")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(text("name"))
        .col(big("account_id"))
        .primary_key(Index::create().col("shard").col("name"))
        .take();
    let post = table("post")
        .col(big("author_id"))
        .col(text("caption"))
        .col(ColumnDef::new("location").text())
        .col(ColumnDef::new("photos").json_binary().not_null())
        .col(big("comment_count"))
        .take();
    let comment = table("comment").col(big("post_id")).col(big("author_id")).col(text("text")).take();
    let by = |name, table: &'static str, owner: &'static str| {
        Index::create().name(name).table(table).col(owner).col("id").take()
    };
    CreateTables::new("m20261122_000101_product_path")
        .table(account)
        .table(username)
        .table(post)
        .table(comment)
        .index(by("post_by_author", "post", "author_id"))
        .index(by("comment_by_post", "comment", "post_id"))
        .boxed()
};

/// For finding people by the beginning of their name.
const USERNAME_PREFIX: Migration = || {
    CreateTables::new("m20261122_000102_username_prefix")
        .prefix_index("username_by_name", "username", "name")
        .boxed()
};

/// Credentials, separate from the account that everyone sees.
const CREDENTIALS: Migration = || {
    let credential = table("credential")
        .col(ColumnDef::new("email").text())
        .col(text("password_hash"))
        .col(ColumnDef::new("sign_up_key").text())
        .take();
    CreateTables::new("m20261123_000103_credentials")
        .table(credential)
        .sql(
            "INSERT INTO credential (id, email, password_hash, sign_up_key) \
             SELECT id, email, password_hash, sign_up_key FROM account",
        )
        .sql("ALTER TABLE account DROP COLUMN email")
        .sql("ALTER TABLE account DROP COLUMN password_hash")
        .sql("ALTER TABLE account DROP COLUMN sign_up_key")
        .boxed()
};

/// Moves the passwords to the framework's table.
const PASSWORDS: Migration = || {
    CreateTables::new("m20261127_000104_passwords")
        .sql("INSERT INTO tripod_password (account_id, hash) SELECT id, password_hash FROM credential")
        .sql("ALTER TABLE credential DROP COLUMN password_hash")
        .boxed()
};

/// Deleted accounts leave no row, and their comments are found by their author. An account that was deleted
/// before is erased once more, by a job under the account's own id, which is on its shard.
const ERASURE: Migration = || {
    CreateTables::new("m20261128_000105_erasure")
        .index(Index::create().name("comment_by_author").table("comment").col("author_id").col("id").take())
        .sql(
            "INSERT INTO tripod_job (id, name, payload, run_at_ms, attempt, dead) \
             SELECT id, 'erase_account', '{\"account\":\"' || id || '\"}', 0, 0, FALSE FROM account WHERE deleted \
             ON CONFLICT DO NOTHING",
        )
        .sql("DELETE FROM account WHERE deleted")
        .sql("ALTER TABLE account DROP COLUMN deleted")
        .boxed()
};

/// Private and suspended accounts, and posts for a part of those who see their author's.
const VISIBILITY: Migration = || {
    CreateTables::new("m20261128_000106_visibility")
        .sql("ALTER TABLE account ADD COLUMN is_private BOOLEAN NOT NULL DEFAULT FALSE")
        .sql("ALTER TABLE account ADD COLUMN suspended BOOLEAN NOT NULL DEFAULT FALSE")
        .sql("ALTER TABLE post ADD COLUMN audience TEXT NOT NULL DEFAULT 'everyone'")
        .sql("ALTER TABLE post ADD COLUMN comments_from TEXT NOT NULL DEFAULT 'everyone'")
        .boxed()
};

/// Replies to comments, found by what they reply to.
const REPLIES: Migration = || {
    CreateTables::new("m20261128_000107_replies")
        .sql("ALTER TABLE comment ADD COLUMN parent_id BIGINT")
        .sql("ALTER TABLE comment ADD COLUMN reply_count BIGINT NOT NULL DEFAULT 0")
        .sql("CREATE INDEX comment_by_parent ON comment (parent_id, id) WHERE parent_id IS NOT NULL")
        .boxed()
};

/// The entities of captions and comments, and the rankings of posts and tags.
const ENTITIES: Migration = || {
    CreateTables::new("m20261128_000108_entities")
        .table(table("ranking").col(ColumnDef::new("content").json_binary().not_null()).take())
        .sql("ALTER TABLE post ADD COLUMN entities JSONB")
        .sql("ALTER TABLE comment ADD COLUMN entities JSONB")
        .boxed()
};

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).col(big("id").primary_key()).take()
}

fn big(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}
