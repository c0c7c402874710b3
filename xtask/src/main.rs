//! The developer's loop: `cargo xtask test | lint | tidy | bench | wheel`.

mod bench;
mod deny;
mod lint;
mod pytest;
mod python;
mod readme;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test [--quick]   everything that must pass before a change is shared;
                             --quick leaves out doc tests, README, tour, Python
                             and the zoo of files
cargo xtask lint             formatting, clippy, tidy, licences
cargo xtask tidy             the house rules that clippy does not know
cargo xtask bench [NAME]     all benchmarks, or one; --check compares with the last
                             results instead of writing new ones
cargo xtask wheel [PYTHON]   the Python package to give away, in target/wheels; one more
                             for each free-threaded interpreter that is named
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Err(error) = workspace::enter() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match arguments.as_slice() {
        ["test"] => test::run(false),
        ["test", "--quick"] => test::run(true),
        ["lint"] => lint::run(),
        ["tidy"] => tidy::run(),
        ["wheel", interpreters @ ..] => python::wheel(interpreters),
        ["bench"] => bench::run(None),
        ["bench", "--check"] => bench::check(None),
        ["bench", "--check", name] | ["bench", name, "--check"] => bench::check(Some(name)),
        ["bench", name] => bench::run(Some(name)),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
