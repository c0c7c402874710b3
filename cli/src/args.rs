//! The command line: what `sheaf` accepts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::import;
use crate::output::Format;

/// An embedded database for hot rows, columns, time series and vectors.
///
/// Without a command: a shell on the database in the folder PATH, or on one in
/// memory. SQL on standard input runs statement by statement as it arrives. The
/// first error ends a script with exit code 1.
#[derive(Debug, Parser)]
#[command(name = "sheaf", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub shell: ShellArgs,
}

/// What the shell and one-shot SQL take.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The database's folder; made when it is not there. Without it the database
    /// lives in memory. A folder with a command's name is written ./tour
    pub path: Option<PathBuf>,
    /// Open for reading only, beside a writer
    #[arg(long)]
    pub read_only: bool,
    /// Memory that the database may use, as 512MB or 4GB; SET memory_limit changes it
    #[arg(long, value_name = "BYTES")]
    pub memory_limit: Option<String>,
    #[command(flatten)]
    pub statements: StatementArgs,
}

/// Which statements run, and how results are written.
#[derive(Debug, Default, Args)]
pub struct StatementArgs {
    /// Run this SQL and leave; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "file")]
    pub sql: Vec<String>,
    /// Run the statements of this file and leave; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// How results are written: json is one object per line, arrow an IPC stream
    /// per result
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Rows that a box shows at most, half from each end; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub rows: usize,
}

/// Everything that is not the shell.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See in under a minute what Sheaf does, on a year of flights and weather
    Tour(TourArgs),
    /// Load files into a table, which is made when it is not there
    Import(ImportArgs),
    /// Serve a database to clients of Arrow Flight SQL: Python (ADBC), JDBC, ODBC and others
    Serve(Box<ServeArgs>),
    /// The shell and one-shot SQL on a database that is served
    Connect(Box<ConnectArgs>),
    /// Read every file of a database, check it, and say what was found
    Verify {
        /// The database's folder
        path: PathBuf,
    },
    /// The writer that the tour kills
    #[command(hide = true)]
    TourWriter {
        /// The database's folder
        path: PathBuf,
    },
}

/// What an import takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The database's folder; made when it is not there
    pub path: PathBuf,
    /// Files, globs or URLs: CSV, JSON, Parquet or Arrow, plain or .gz or .zst
    #[arg(required = true)]
    pub files: Vec<String>,
    /// The table; by default the first file's name without its endings
    #[arg(long)]
    pub table: Option<String>,
    /// An option of COPY, such as delim=| or ignore_errors=true; may be given several
    /// times
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = import::option)]
    pub option: Vec<(String, String)>,
}

/// What a server takes.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The database's folder; made when it is not there
    pub path: PathBuf,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:32010")]
    pub flight: SocketAddr,
    /// Where to answer /health and /metrics over HTTP, without which nowhere
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// How to log to the standard error output: text, or json for machines
    #[arg(long, value_enum, default_value_t)]
    pub log: LogFormat,
    /// Open for reading only, beside a writer
    #[arg(long)]
    pub read_only: bool,
    /// Memory that the database may use, as 512MB or 4GB
    #[arg(long, value_name = "BYTES")]
    pub memory_limit: Option<String>,
    /// The folder whose files statements may read and write, without which none
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub jwt: JwtArgs,
}

/// What a connection takes.
#[derive(Debug, Default, Args)]
pub struct ConnectArgs {
    /// Where the server listens: grpc://host:port, or grpc+tls://host:port
    pub url: String,
    /// Who logs in; the password is asked for, or in the variable SHEAF_PASSWORD. A token is
    /// in the variable SHEAF_TOKEN
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The server's certificate comes from one of these, PEM; by default from those that the
    /// system trusts
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The certificate to show to the server, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    #[command(flatten)]
    pub statements: StatementArgs,
}

/// How a server logs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// An object per line
    Json,
}

/// How a server encrypts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption")]
pub struct TlsArgs {
    /// The server's certificate and those above it, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Clients must show a certificate that comes from one of these, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub client_ca: Option<PathBuf>,
}

/// Tokens that somebody else gives out.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens of others (JWT)")]
pub struct JwtArgs {
    /// The public key that they are signed for, PEM; or the secret of HS256
    #[arg(long, value_name = "FILE", requires = "jwt_audience")]
    pub jwt_key: Option<PathBuf>,
    /// The one algorithm that they may be signed with
    #[arg(long, value_name = "NAME", default_value = "RS256", requires = "jwt_key")]
    pub jwt_algorithm: String,
    /// Whom they must be for (aud)
    #[arg(long, value_name = "NAME", requires = "jwt_key")]
    pub jwt_audience: Option<String>,
    /// Whom they must be from (iss)
    #[arg(long, value_name = "NAME", requires = "jwt_key")]
    pub jwt_issuer: Option<String>,
}

/// What the tour takes.
#[derive(Debug, Args)]
pub struct TourArgs {
    /// Where the tour makes its database
    #[arg(long, default_value = "tour.sheaf")]
    pub path: PathBuf,
    /// Leave the database there at the end
    #[arg(long)]
    pub keep: bool,
}
