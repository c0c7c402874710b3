//! The `sheaf-tpch` command.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use sheaf_tpch::args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match &Cli::parse().command {
        Command::Gen(args) => commands::generate(args),
        Command::Load(args) => commands::load(args),
        Command::Run(args) => commands::run(args),
        Command::Compare(args) => commands::compare(args),
        Command::Engine => commands::engine(),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("sheaf-tpch: {failure}");
            ExitCode::FAILURE
        }
    }
}
