//! The lines at the bottom of the terminal that live: level meter, elapsed time, how far recognition is behind, and the end of
//! the text that is being spoken.
//!
//! A frame is put together as text first ([`compose`], without a terminal) and then written in one piece over the frame before
//! it, line by line, with `\r`, `ESC [ n A` (up), `ESC [ K` (clear the rest of the line) and `ESC [ J` (clear what is below).
//! Nothing is cleared before it is written again, so nothing flickers. No line reaches the last column, because terminals
//! differ in what they do there. The region has at most four lines: it never scrolls the screen but to make room for itself.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use console::{Term, measure_text_width};

/// Twelve frames a second: more than levels come, and little for a terminal.
const FRAME: Duration = Duration::from_millis(83);
/// Lines of text.
const TEXT_ROWS: usize = 3;
/// Narrower terminals have the text below the meter instead of beside it.
const WIDE: usize = 72;
/// Columns before text that is below the meter.
const INDENT: usize = 2;
/// Bars of the meter, a tenth of a second each.
const BARS: usize = 6;
/// dB below full scale of the shortest and the highest bar.
const QUIET_DB: f32 = -60.0;
const LOUD_DB: f32 = -10.0;
/// Recognition of what is being spoken is always a little behind; from here on it is worth a word.
const LAG_S: f64 = 2.0;

/// What the region shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Seconds that were heard.
    pub(crate) seconds: f64,
    levels: VecDeque<f32>,
    pub(crate) lag_seconds: f64,
    stable: String,
    tentative: String,
    /// In place of text, while there is none.
    pub(crate) status: &'static str,
    /// The microphone is closed, since so many seconds.
    pub(crate) finishing: Option<f64>,
}

impl View {
    pub(crate) fn level(&mut self, rms_dbfs: f32) {
        if self.levels.len() == BARS {
            self.levels.pop_front();
        }
        self.levels.push_back(rms_dbfs);
    }

    /// The text of the open segment, `stable_bytes` of which are settled.
    pub(crate) fn text(&mut self, text: &str, stable_bytes: usize) {
        let (stable, tentative) = text.split_at_checked(stable_bytes).unwrap_or((text, ""));
        self.stable = harmless(stable);
        self.tentative = harmless(tentative);
    }
}

/// Without anything that could move the cursor.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The region on a terminal.
pub(crate) struct LiveRegion {
    term: Term,
    styled: bool,
    /// Widths of the lines that are on the screen now.
    drawn: Vec<usize>,
    last: Option<Instant>,
}

impl LiveRegion {
    pub(crate) fn new(term: Term) -> Self {
        Self { term, styled: console::colors_enabled_stderr(), drawn: Vec::new(), last: None }
    }

    /// Shows the view, unless it was shown a moment ago.
    pub(crate) fn refresh(&mut self, view: &View) {
        if self.last.is_none_or(|last| last.elapsed() >= FRAME) {
            self.draw(view);
        }
    }

    pub(crate) fn draw(&mut self, view: &View) {
        let (height, width) = self.term.size();
        let rows = compose(view, width.into(), height.into(), self.styled);
        let mut frame = self.to_top(width.into());
        for (i, row) in rows.iter().enumerate() {
            let line_end = if i + 1 < rows.len() { "\n" } else { "" };
            let _ = write!(frame, "\r{}\x1b[K{line_end}", row.text);
        }
        frame.push_str("\x1b[J");
        self.write(&frame);
        self.drawn = rows.iter().map(|row| row.width).collect();
        self.last = Some(Instant::now());
    }

    /// Takes the region away, and says whether it was there; the next frame is drawn where the cursor is then.
    pub(crate) fn clear(&mut self) -> bool {
        let was_there = !self.drawn.is_empty();
        if was_there {
            let (_, width) = self.term.size();
            let frame = self.to_top(width.into()) + "\r\x1b[J";
            self.write(&frame);
            self.drawn.clear();
        }
        self.last = None;
        was_there
    }

    /// From the end of the last line to the first one. A terminal that became narrower has wrapped the lines.
    fn to_top(&self, columns: usize) -> String {
        let lines = self.drawn.iter().map(|&width| width.max(1).div_ceil(columns.max(1))).sum::<usize>();
        if lines > 1 { format!("\x1b[{}A", lines - 1) } else { String::new() }
    }

    fn write(&mut self, frame: &str) {
        // Where the terminal is gone there is nobody to show anything to.
        let _ = self.term.write_all(frame.as_bytes()).and_then(|()| self.term.flush());
    }
}

/// A line and how many columns it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    text: String,
    width: usize,
}

fn compose(view: &View, columns: usize, height: usize, styled: bool) -> Vec<Row> {
    let room = columns.saturating_sub(1);
    let mut meter = match view.finishing {
        Some(since) => format!("Finishing ... {since:.1} s"),
        None => format!("{:>6}  {} {}", clock(view.seconds), bars(&view.levels), decibels(&view.levels)),
    };
    if view.lag_seconds >= LAG_S {
        let _ = write!(meter, "  lag {:.1} s", view.lag_seconds);
    }
    let beside = columns >= WIDE;
    let indent = if beside { measure_text_width(&meter) + 3 } else { INDENT };
    let most = TEXT_ROWS.min(height.saturating_sub(if beside { 1 } else { 2 })).max(1);
    let (mut text, left_out) = if view.stable.is_empty() && view.tentative.is_empty() {
        (vec![styled_row(view.status, "", styled, true)], false)
    } else {
        wrap(&view.stable, &view.tentative, room.saturating_sub(indent).max(1), most, styled)
    };
    // The mark of a beginning that is left out stands in the space before the text.
    let gap = |columns: usize, marked: bool| {
        if marked { format!("{}{ELLIPSIS}", " ".repeat(columns - 1)) } else { " ".repeat(columns) }
    };
    let mut rows = vec![cut(&meter, room)];
    if beside && rows[0].text == meter && !text.is_empty() {
        let first = text.remove(0);
        if first.width > 0 {
            let gap = gap(indent - rows[0].width, left_out);
            rows[0] = Row { text: format!("{meter}{gap}{}", first.text), width: indent + first.width };
        }
    }
    for (i, row) in text.into_iter().enumerate().filter(|(_, row)| row.width > 0) {
        let gap = gap(indent, left_out && !beside && i == 0);
        rows.push(Row { text: format!("{gap}{}", row.text), width: indent + row.width });
    }
    rows
}

/// Stands before a text whose beginning is not shown.
const ELLIPSIS: char = '…';

/// The last lines of a text of two parts. A line breaks at a space, or between wide characters, or where a word alone is too
/// wide; lines stay where they are while the text grows. Also says whether lines were left out.
fn wrap(stable: &str, tentative: &str, columns: usize, most: usize, styled: bool) -> (Vec<Row>, bool) {
    let all = format!("{stable}{tentative}");
    let mut lines: Vec<(usize, usize)> = Vec::new();
    let (mut begin, mut end, mut width) = (0, 0, 0);
    for (from, to) in pieces(&all) {
        let piece = measure_text_width(&all[from..to]);
        let blank = all[from..to].trim().is_empty();
        if width + piece > columns && !blank && end > begin {
            lines.push((begin, end));
            (begin, end, width) = (from, from, 0);
        }
        if blank && end == begin {
            // Spaces at a break are the break.
            (begin, end) = (to, to);
            continue;
        }
        width += piece;
        if !blank {
            end = to;
        }
        // A word wider than the terminal.
        while width > columns {
            let at = fitting(&all[begin..end], columns);
            if at == 0 || begin + at >= end {
                break;
            }
            lines.push((begin, begin + at));
            begin += at;
            width = measure_text_width(&all[begin..end]);
        }
    }
    if end > begin {
        lines.push((begin, end));
    }
    let left_out = lines.len().saturating_sub(most);
    let rows = lines[left_out..]
        .iter()
        .map(|&(from, to)| {
            let border = stable.len().clamp(from, to);
            styled_row(&all[from..border], &all[border..to], styled, false)
        })
        .collect();
    (rows, left_out > 0)
}

/// Spaces, words, and wide characters with what belongs to them.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Space,
        Word,
        Wide,
    }
    let mut all: Vec<(usize, usize)> = Vec::new();
    let mut before = None;
    for (at, c) in text.char_indices() {
        let to = at + c.len_utf8();
        let width = measure_text_width(&text[at..to]);
        let kind = match width {
            _ if c == ' ' => Kind::Space,
            2.. => Kind::Wide,
            // Accents, and the punctuation that must not begin a line, belong to what is before them.
            0 => before.unwrap_or(Kind::Word),
            _ => Kind::Word,
        };
        let joins = before == Some(kind) && (kind != Kind::Wide || width == 0 || "，。、！？；：）」』".contains(c));
        match all.last_mut() {
            Some(last) if joins => last.1 = to,
            _ => all.push((at, to)),
        }
        before = Some(kind);
    }
    all
}

/// Bytes of a text that fit into so many columns.
fn fitting(text: &str, columns: usize) -> usize {
    let mut width = 0;
    for (at, c) in text.char_indices() {
        width += measure_text_width(&text[at..at + c.len_utf8()]);
        if width > columns {
            return at;
        }
    }
    text.len()
}

fn styled_row(stable: &str, tentative: &str, styled: bool, all_dim: bool) -> Row {
    let width = measure_text_width(stable) + measure_text_width(tentative);
    let dim = |text: &str| {
        if styled && !text.is_empty() { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    };
    let stable = if all_dim { dim(stable) } else { stable.to_owned() };
    Row { text: stable + &dim(tentative), width }
}

fn cut(text: &str, columns: usize) -> Row {
    let text = &text[..fitting(text, columns)];
    Row { text: text.to_owned(), width: measure_text_width(text) }
}

/// Elapsed time.
pub(crate) fn clock(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (all / 3_600, all / 60 % 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn bars(levels: &VecDeque<f32>) -> String {
    const BAR: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let bar = |&level: &f32| {
        let part = (level - QUIET_DB) / (LOUD_DB - QUIET_DB);
        BAR[(part.clamp(0.0, 1.0) * (BAR.len() - 1) as f32).round() as usize]
    };
    std::iter::repeat_n(' ', BARS - levels.len()).chain(levels.iter().map(bar)).collect()
}

fn decibels(levels: &VecDeque<f32>) -> String {
    levels.back().map_or_else(|| " ".repeat(7), |level| format!("{:4.0} dB", level.round() + 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(stable: &str, tentative: &str) -> View {
        let mut view = View { seconds: 7.9, ..View::default() };
        for level in [-54.0, -30.0, -12.0, -30.0, -50.0, -21.4] {
            view.level(level);
        }
        view.text(&format!("{stable}{tentative}"), stable.len());
        view
    }

    fn lines(view: &View, columns: usize, height: usize) -> Vec<String> {
        let rows = compose(view, columns, height, false);
        for row in &rows {
            assert_eq!(measure_text_width(&row.text), row.width, "{row:?}");
            assert!(row.width < columns, "{row:?} in {columns} columns");
        }
        rows.into_iter().map(|row| row.text).collect()
    }

    #[test]
    fn a_wide_terminal_has_the_text_beside_the_meter() {
        let text = view("I think we should move the meeting", " to thursday after");
        assert_eq!(
            lines(&text, 100, 24),
            ["  0:07  ▂▅█▅▂▆  -21 dB   I think we should move the meeting to thursday after"]
        );
        assert_eq!(
            lines(&text, 72, 24),
            [
                "  0:07  ▂▅█▅▂▆  -21 dB   I think we should move the meeting to thursday",
                "                         after"
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_has_the_end_of_the_text_below_it() {
        let text =
            view("I think we should move the meeting to thursday", " afternoon, because on Friday nobody is there");
        assert_eq!(
            lines(&text, 30, 24),
            ["  0:07  ▂▅█▅▂▆  -21 dB", " …meeting to thursday", "  afternoon, because on", "  Friday nobody is there"]
        );
        assert_eq!(lines(&text, 30, 3).len(), 2, "a terminal of three lines");
    }

    #[test]
    fn wide_characters_count_twice_and_break_anywhere() {
        let text = view("我喜欢音乐，不喜欢电脑。", "你们喜欢电脑");
        assert_eq!(lines(&text, 20, 24)[1..], ["  我喜欢音乐，不喜", "  欢电脑。你们喜欢", "  电脑"]);
        // Seventeen columns for text hold eight characters, and the full stop does not begin a line.
        assert_eq!(lines(&view("一二三四五六七八。九", ""), 20, 24)[1..], ["  一二三四五六七", "  八。九"]);
    }

    #[test]
    fn a_word_wider_than_the_terminal_is_broken() {
        let text = view("https://example.org/a/very/long/address and", "");
        assert_eq!(lines(&text, 20, 24)[1..], ["  https://example.o", "  rg/a/very/long/ad", "  dress and"]);
    }

    #[test]
    fn the_tentative_part_is_dim_on_every_line_it_is_on() {
        let rows = compose(&view("one two", " three four"), 16, 24, true);
        assert_eq!(rows[1].text, "  one two\x1b[2m three\x1b[0m");
        assert_eq!((rows[2].text.as_str(), rows[2].width), ("  \x1b[2mfour\x1b[0m", 6));
    }

    #[test]
    fn nothing_in_a_text_moves_the_cursor() {
        assert_eq!(lines(&view("a\u{1b}[2J\r\nb", ""), 40, 24)[1], "  a [2J  b");
    }

    #[test]
    fn lag_is_shown_when_there_is_some_and_status_when_there_is_no_text() {
        let mut view = view("", "");
        view.status = "loading the model";
        view.lag_seconds = 1.0;
        assert_eq!(lines(&view, 100, 24), ["  0:07  ▂▅█▅▂▆  -21 dB   loading the model"]);
        view.lag_seconds = 3.12;
        view.status = "";
        assert_eq!(lines(&view, 100, 24), ["  0:07  ▂▅█▅▂▆  -21 dB  lag 3.1 s"]);
    }

    #[test]
    fn any_size_of_terminal_and_any_text_fit() {
        for text in ["", "word ", "界 ", "a界,。", "e\u{301}\u{301}x", "👩‍👩‍👧 ", "verylongwordwithoutanyspace"]
        {
            let long = text.repeat(40);
            for columns in 2..140 {
                for border in [0, long.len() / 2, long.len()] {
                    let border = (border..=long.len()).find(|&at| long.is_char_boundary(at)).expect("the end is one");
                    let rows = compose(&view(&long[..border], &long[border..]), columns, 24, false);
                    assert!(rows.len() <= 4);
                    assert!(rows.iter().all(|row| row.width < columns.max(5)), "{rows:?} in {columns}");
                }
            }
        }
    }

    #[test]
    fn elapsed_time() {
        assert_eq!([clock(-1.0), clock(59.9), clock(61.0), clock(3_725.0)], ["0:00", "0:59", "1:01", "1:02:05"]);
    }
}
