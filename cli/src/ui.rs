//! Everything that goes to standard error: errors, notices, and on a terminal the line that lives: the text of the segment
//! that is being decoded, and how far a long file is. Without a terminal there is no line, no colour and no carriage return.

use std::io::{self, Write as _};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;

/// Files from this length on get a bar with the time left; shorter ones are done before anybody has read it.
const LONG_S: f64 = 20.0;

pub(crate) struct Screen {
    /// `None` where standard error is no terminal.
    term: Option<Term>,
    bar: Option<ProgressBar>,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let term = Term::stderr();
        let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        Self { term: (term.is_term() && !dumb).then_some(term), bar: None }
    }

    /// Nothing that moves.
    pub(crate) fn plain() -> Self {
        Self { term: None, bar: None }
    }

    /// Whether the open text is shown, so that it is worth producing.
    pub(crate) fn lives(&self) -> bool {
        self.term.is_some()
    }

    /// A file begins that claims to be so long.
    pub(crate) fn begin(&mut self, seconds: Option<f64>) {
        if self.term.is_none() {
            return;
        }
        let long = seconds.filter(|&seconds| seconds >= LONG_S);
        let template = if long.is_some() { "{msg}\n{bar:24} {percent:>3}%  {eta} left" } else { "{msg}" };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = match long {
            Some(seconds) => ProgressBar::new(milliseconds(seconds)),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(style.progress_chars("=> "));
        self.bar = Some(bar);
    }

    /// So much of the file is done.
    pub(crate) fn at(&self, seconds: f64) {
        if let Some(bar) = &self.bar {
            let done = milliseconds(seconds);
            // The claimed length is not to be trusted: a bar beyond its end helps nobody.
            bar.set_position(bar.length().map_or(done, |length| done.min(length)));
        }
    }

    /// The text of the segment being decoded; "" clears it.
    pub(crate) fn open_text(&self, text: &str) {
        if let (Some(bar), Some(term)) = (&self.bar, &self.term) {
            let width = usize::from(term.size().1).saturating_sub(1);
            let tail = tail(text, width);
            let dim = if tail.is_empty() { tail } else { console::style(tail).for_stderr().dim().to_string() };
            bar.set_message(dim);
        }
    }

    /// The file ended: the line goes away.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Runs something that writes to the terminal, with the living line out of the way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// One line for people.
    pub(crate) fn say(&self, line: &str) {
        // Where standard error is gone there is nobody to tell.
        self.aside(|| drop(writeln!(io::stderr().lock(), "{line}")));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.sentence("error", &failure.message, failure.hint.as_deref());
    }

    pub(crate) fn notice(&self, message: &str, hint: Option<&str>) {
        self.sentence("notice", message, hint);
    }

    fn sentence(&self, kind: &str, message: &str, hint: Option<&str>) {
        let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        self.say(&format!("{kind}: {message}{hint}"));
    }
}

fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}

/// As much of the end of a text as fits into so many columns.
fn tail(text: &str, columns: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut begin = text.len();
    for (at, _) in text.char_indices().rev() {
        if console::measure_text_width(&text[at..]) > columns {
            break;
        }
        begin = at;
    }
    text[begin..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_open_text_is_what_stays_visible() {
        assert_eq!(tail("one two three", 5), "three");
        assert_eq!(tail("one", 80), "one");
        assert_eq!(tail("one", 0), "");
        assert_eq!(tail("你好世界", 5), "世界");
        assert_eq!(tail("a\nb\u{1b}[2J", 80), "a b [2J");
    }
}
