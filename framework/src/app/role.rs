//! The roles of an app's binary, as subcommands.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::builder::AppBuilder;
use super::start::{self, Access, Started};
use super::{audit, first_migration, indexes, jobs, openapi, serve_demo};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::id::Clock;
use crate::permissions;
use crate::shard::ShardAssignment;
use crate::telemetry;

#[derive(Parser)]
struct Arguments {
    /// The file of settings, instead of tripod.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Args, Clone, Copy)]
struct Serve {
    /// Fill the service, which must be empty, with data to look at before serving it.
    #[arg(long)]
    demo: bool,
    /// Leave the queue to `work` processes.
    #[arg(long, conflicts_with = "demo")]
    no_work: bool,
}

impl Serve {
    fn is_default(self) -> bool {
        !self.demo && !self.no_work
    }
}

#[derive(Subcommand)]
enum Role {
    /// Serve requests and work the queue (the default).
    Serve(Serve),
    /// Work the queue, without serving requests.
    Work,
    /// Bring the databases to this version's schema.
    Migrate {
        /// Make the configured Redis and media store the installation's, in place of those it used.
        /// Stop its other processes first.
        #[arg(long)]
        adopt: bool,
    },
    /// Show which database holds which logical shards.
    Shards,
    /// Show the jobs that wait or run, and those put aside as dead.
    Jobs {
        #[command(subcommand)]
        act: Option<Jobs>,
    },
    /// Check what the databases count.
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
    /// Look after the indexes of rows by keys.
    Index {
        #[command(subcommand)]
        act: IndexAct,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Print the settings in effect, with their documentation and where each comes from.
    Settings,
    /// Print the source of a first migration, made of the app's entities.
    Migration {
        /// Its name, such as m20261127_000001_tables: a date and a number, never changed.
        name: String,
    },
}

#[derive(Clone, Copy, Subcommand)]
enum Audit {
    /// Compare every edge with its other end and its rows, and every count with its edges. It fails if
    /// something is wrong and not repaired.
    Counts {
        /// Repair what is wrong, while the service runs. Without Redis, stop the service first.
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Subcommand)]
pub(super) enum IndexAct {
    /// Make indexes match their rows, while the app serves. If this was interrupted, it continues.
    Rebuild {
        /// The index, or all of them.
        name: Option<String>,
    },
}

#[derive(Subcommand)]
pub(super) enum Jobs {
    /// Make waiting and dead jobs due now, with all their attempts.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Retry {
        /// The ids of jobs, as `jobs` lists them.
        #[arg(group = "which")]
        ids: Vec<i64>,
        /// All jobs of this kind.
        #[arg(long, group = "which", value_name = "KIND")]
        name: Option<String>,
        /// All jobs.
        #[arg(long, group = "which")]
        all: bool,
    },
    /// Delete a dead job.
    Discard {
        /// The job's id, as `jobs` lists it.
        id: i64,
    },
}

impl<S: Send + Sync + 'static> AppBuilder<S> {
    /// Runs the role given on the command line, `serve` by default. Failures are printed as sentences.
    pub async fn run(self) -> std::process::ExitCode {
        permissions::make_new_files_private();
        let code = match run_role(self).await {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => {
                telemetry::stderr().send(format!("error: {}\n", error.chain()).as_bytes());
                std::process::ExitCode::FAILURE
            }
        };
        telemetry::stdout().flush();
        telemetry::stderr().flush();
        code
    }
}

async fn run_role<S: Send + Sync + 'static>(app: AppBuilder<S>) -> Result<()> {
    let mut command = Arguments::command().name(app.name).bin_name(app.name).version(app.version);
    let arguments =
        command.clone().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = arguments.unwrap_or_else(|error| error.exit());
    let role = match arguments.role {
        None => Role::Serve(arguments.serve),
        Some(Role::Serve(serve)) => Role::Serve(Serve {
            demo: serve.demo || arguments.serve.demo,
            no_work: serve.no_work || arguments.serve.no_work,
        }),
        Some(_) if !arguments.serve.is_default() => {
            let conflict = ErrorKind::ArgumentConflict;
            let which = if arguments.serve.demo { "--demo" } else { "--no-work" };
            command.error(conflict, format!("the argument '{which}' can only be used with 'serve'")).exit()
        }
        Some(role) => role,
    };
    app.check()?;
    let role = match role {
        Role::Openapi => return print(&openapi::document(app)?),
        Role::Settings => return print(&Config::effective(arguments.config.as_deref())?),
        Role::Migration { name } => return print(&first_migration::source(&app.catalogue, &name)),
        role => role,
    };
    let config = Config::load(arguments.config.as_deref())?;
    telemetry::start(&config.log)?;
    if let Role::Serve(Serve { demo: true, .. }) = role {
        return serve_demo::serve(app, config).await;
    }
    if let Role::Migrate { adopt } = role {
        let done = start::migrate_all(&app, &config, adopt).await?;
        return print(&format!("{}\nthe databases are at this version's schema\n", done.join("\n")));
    }
    if let Role::Serve(Serve { no_work: true, .. }) = role
        && !config.is_shared()
    {
        return Err(Error::configuration(
            "--no-work leaves the queue to other processes, and without Redis and databases on servers there is \
             only this one: start it without, or set redis (TRIPOD_REDIS) and databases (TRIPOD_DATABASES)",
        ));
    }
    let access = match role {
        // A repair has to invalidate what the processes of the service have cached.
        Role::Serve(_) | Role::Work | Role::Audit { what: Audit::Counts { repair: true } } => Access::Serve,
        _ => Access::Inspect,
    };
    let started = start::start(app, config, Clock::system(), access).await?;
    match role {
        Role::Serve(Serve { no_work, .. }) => start::serve(started, !no_work, None).await,
        Role::Work => start::work(started).await,
        Role::Shards => shards(&started).await,
        Role::Jobs { act: None } => print(&jobs::list(&started.app.queue).await?),
        Role::Jobs { act: Some(act) } => print(&jobs::change(&started.app.queue, act).await?),
        Role::Audit { what: Audit::Counts { repair } } => {
            let (text, found) = audit::counts(&started.app.graph, repair).await?;
            print(&text)?;
            match found.is_clean() {
                true => Ok(()),
                false if repair => Err(Error::conflict("some faults are left: try again in a minute")),
                false => Err(Error::conflict("there are faults, which `audit counts --repair` repairs")),
            }
        }
        Role::Index { act: IndexAct::Rebuild { name } } => {
            print(&indexes::rebuild(&started.app.indexes, name.as_deref()).await?)
        }
        Role::Migrate { .. } | Role::Migration { .. } | Role::Openapi | Role::Settings => {
            unreachable!("these were answered above")
        }
    }
}

async fn shards<S>(started: &Started<S>) -> Result<()> {
    for database in started.app.shards.databases() {
        if database.is_absent() {
            print(&format!("{}  does not answer\n", database.name()))?;
            continue;
        }
        let assignment = ShardAssignment::read(database).await?;
        let ranges = assignment.map_or_else(|| "none".to_owned(), |assignment| assignment.ranges());
        print(&format!("{}  shards {ranges}\n", database.name()))?;
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::unavailable("cannot write to standard output").because(error))
}
