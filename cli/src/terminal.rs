//! What standard output is: a terminal of some width, with or without colours.

use std::io::IsTerminal;

use crate::output::View;

/// Looks at standard output and the environment.
pub fn view(max_rows: usize) -> View {
    let terminal = std::io::stdout().is_terminal();
    View { color: terminal && colors_wanted(), width: width(), max_rows, timer: true }
}

/// Columns of the terminal, which may change at any time; `None` when standard
/// output is something else.
pub fn width() -> Option<usize> {
    let terminal = std::io::stdout().is_terminal();
    terminal.then(crossterm::terminal::size)?.ok().map(|(columns, _)| usize::from(columns))
}

/// Whether messages on standard error may have colours.
pub fn error_color() -> bool {
    std::io::stderr().is_terminal() && colors_wanted()
}

/// The convention of no-color.org, and terminals that know no colours.
fn colors_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
