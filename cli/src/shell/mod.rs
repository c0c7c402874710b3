//! The interactive shell.

mod complete;
mod editor;
mod highlight;
mod history;
mod words;

use reedline::Signal;
use sheafdb::Session;

use crate::console::{Console, Flow};
use crate::message::Failure;
use crate::terminal;

/// Reads and runs input until the person leaves.
pub fn run(console: &mut Console, place: &str) -> Result<(), Failure> {
    println!("sheaf {} · {place}", env!("CARGO_PKG_VERSION"));
    println!("End statements with ; — .help lists commands, Ctrl-D leaves.");
    let words = words::Words::new(console.runner.place.database().cloned());
    let mut editor = editor::open(words, console.runner.view.color);
    loop {
        match editor.read_line(&editor::SheafPrompt) {
            Ok(Signal::Success(text)) => {
                console.runner.view.width = terminal::width();
                if run_text(console, &text) == Flow::Quit {
                    return Ok(());
                }
            }
            Ok(Signal::CtrlD) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                return Err(Failure::Other(format!("cannot read from the terminal: {error}")));
            }
        }
    }
}

/// Runs what was entered: one command, or statements until one fails.
fn run_text(console: &mut Console, text: &str) -> Flow {
    let out = &mut std::io::stdout();
    if text.trim_start().starts_with('.') {
        return console.command(text.trim(), out).unwrap_or(Flow::Continue);
    }
    let statements = match Session::split(text) {
        Ok(statements) => statements,
        Err(error) => {
            console.complain(&error.into(), text, None);
            return Flow::Continue;
        }
    };
    for sql in statements {
        if let Err(failure) = console.runner.run(&sql, out) {
            console.complain(&failure, &sql, None);
            break;
        }
    }
    Flow::Continue
}
