//! Thousands of signed-in accounts. Signing up hashes a password, which takes 20 ms of a core, so all but one
//! are copies of the first account's rows.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use tripod_tests::Person;

const SHARDS: i64 = 8_192;
const SEQUENCE_BITS: u32 = 10;
/// Above what the first account's own millisecond has.
const FIRST_SEQUENCE: i64 = 500;
const PREFIX: &str = "tri_";

/// The databases of a service, each with an equal share of the logical shards.
pub struct Databases(Vec<DatabaseConnection>);

impl Databases {
    pub async fn open(urls: &[String]) -> Result<Self> {
        let mut open = Vec::new();
        for url in urls {
            let mut options = ConnectOptions::new(url);
            options.max_connections(1).idle_timeout(None).max_lifetime(None).sqlx_logging(false);
            open.push(Database::connect(options).await?);
        }
        Ok(Self(open))
    }

    /// The sum of a query's first column over all databases.
    pub async fn sum(&self, sql: &str) -> Result<i64> {
        let mut sum = 0;
        for database in &self.0 {
            let query = Statement::from_string(database.get_database_backend(), sql);
            let row = database.query_one_raw(query).await?.context("a query for a number returns a row")?;
            sum += row.try_get_by_index::<i64>(0)?;
        }
        Ok(sum)
    }

    /// Adds this many copies of an account and its session; returns their tokens.
    pub async fn add_copies(&self, of: &Person, count: i64) -> Result<Vec<String>> {
        let original: i64 = of.id.parse()?;
        let secret = URL_SAFE_NO_PAD.decode(of.token().context("a token")?.trim_start_matches(PREFIX))?;
        let home = self.home(original);
        let columns = columns(home, "account").await?;
        let values: Vec<String> = columns.iter().map(|name| value(home, name)).collect();
        let read = format!(
            "SELECT {} FROM account WHERE id = {original}",
            values.iter().map(|value| format!("COALESCE({value}, 'NULL')")).collect::<Vec<_>>().join(", ")
        );
        let row = home.query_one_raw(Statement::from_string(home.get_database_backend(), read)).await?;
        let row = row.context("the first account has a row")?;
        let hash = format!(
            "SELECT {} FROM tripod_session WHERE account_id = {original}",
            value(home, "secret_hash")
        );
        let hash = home.query_one_raw(Statement::from_string(home.get_database_backend(), hash)).await?;
        let hash: String = hash.context("the first account has a session")?.try_get_by_index(0)?;
        let mut ids = Vec::new();
        for number in 0..count {
            let (shard, sequence) = (number % SHARDS, FIRST_SEQUENCE + number / SHARDS);
            ids.push((original >> 23 << 23) | (shard << SEQUENCE_BITS) | sequence);
        }
        for (index, database) in self.0.iter().enumerate() {
            let here: Vec<i64> = ids.iter().copied().filter(|id| self.index(*id) == index).collect();
            for ids in here.chunks(500) {
                let (mut accounts, mut sessions) = (Vec::new(), Vec::new());
                for id in ids {
                    let cells = columns.iter().enumerate().map(|(at, name)| match name.as_str() {
                        "id" => Ok(id.to_string()),
                        "username" => Ok(format!("'copy{id}'")),
                        _ => row.try_get_by_index::<String>(at),
                    });
                    let cells: Vec<String> = cells.collect::<Result<_, _>>()?;
                    accounts.push(format!("({})", cells.join(", ")));
                    sessions.push(format!("({id}, {id}, {hash}, 'a bench')"));
                }
                let (columns, accounts, sessions) =
                    (columns.join(", "), accounts.join(", "), sessions.join(", "));
                database
                    .execute_unprepared(&format!("INSERT INTO account ({columns}) VALUES {accounts}"))
                    .await?;
                let insert = format!(
                    "INSERT INTO tripod_session (id, account_id, secret_hash, device) VALUES {sessions}"
                );
                database.execute_unprepared(&insert).await?;
            }
        }
        ensure!(secret.len() > 8, "a token has a secret");
        let token = |id: &i64| {
            let bytes = [id.to_be_bytes().as_slice(), &secret[8..]].concat();
            format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
        };
        Ok(ids.iter().map(token).collect())
    }

    fn index(&self, id: i64) -> usize {
        let shard = (id >> SEQUENCE_BITS) & (SHARDS - 1);
        (shard * self.0.len() as i64 / SHARDS) as usize
    }

    fn home(&self, id: i64) -> &DatabaseConnection {
        &self.0[self.index(id)]
    }
}

/// A column's value as a literal of SQL.
fn value(database: &DatabaseConnection, column: &str) -> String {
    match database.get_database_backend() {
        DbBackend::Postgres => format!("quote_nullable({column})"),
        _ => format!("quote({column})"),
    }
}

async fn columns(database: &DatabaseConnection, table: &str) -> Result<Vec<String>> {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            format!("SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'")
        }
        _ => format!("SELECT name FROM pragma_table_info('{table}')"),
    };
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}
