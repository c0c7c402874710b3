//! The line editor: keys, prompt, and when Enter ends the input.

use std::borrow::Cow;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, DefaultHinter, Emacs, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu,
    ValidationResult, Validator, default_emacs_keybindings,
};
use sheafdb::Session;

use super::complete::SqlCompleter;
use super::highlight::SqlHighlighter;
use super::history;
use super::words::Words;

const MENU: &str = "completion";

/// An editor that completes from `words`.
pub fn open(words: Words, color: bool) -> Reedline {
    let mut keys = default_emacs_keybindings();
    let tab = vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(tab));
    let mut editor = Reedline::create()
        .with_completer(Box::new(SqlCompleter { words }))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU))))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(UntilSemicolon))
        .with_ansi_colors(color);
    if color {
        editor = editor.with_highlighter(Box::new(SqlHighlighter)).with_hinter(Box::new(
            DefaultHinter::default().with_style(Style::new().fg(Color::DarkGray)),
        ));
    }
    match history::open() {
        Some(history) => editor.with_history(history),
        None => editor,
    }
}

/// Enter ends the input after a command, or when the last statement is complete.
struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, text: &str) -> ValidationResult {
        let text = text.trim();
        if text.starts_with('.') || Session::is_complete(text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

/// `sheaf> `, and dots on further lines.
pub struct SheafPrompt;

impl Prompt for SheafPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        "sheaf".into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "  ...> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = if matches!(search.status, PromptHistorySearchStatus::Failing) {
            "failing "
        } else {
            ""
        };
        format!("({failing}search: {}) ", search.term).into()
    }
}
