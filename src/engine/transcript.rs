//! The result: segments, and what they say together.

use super::{Segment, Stats};

/// What was said in a recording.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Transcript {
    /// The texts of all segments, joined; empty if there was no speech.
    pub text: String,
    /// The languages of the segments in their order, as `English` or `English,Chinese`; `None` if there was no speech.
    pub language: Option<String>,
    /// All segments, those in which the model heard nothing included.
    pub segments: Vec<Segment>,
    /// What it took.
    pub stats: Stats,
}

impl Transcript {
    /// Appends the next segment of the same recording.
    pub fn push(&mut self, segment: Segment) {
        self.text.push_str(segment.separator);
        self.text.push_str(&segment.text);
        if let Some(new) = &segment.language {
            match &mut self.language {
                None => self.language = Some(new.clone()),
                Some(all) if all.rsplit(',').next() == Some(new) => {}
                Some(all) => {
                    all.push(',');
                    all.push_str(new);
                }
            }
        }
        self.segments.push(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CutReason, StopReason};
    use super::*;

    fn segment(separator: &'static str, text: &str, language: Option<&str>) -> Segment {
        Segment {
            text: text.to_owned(),
            separator,
            language: language.map(str::to_owned),
            start: 0.0,
            end: 1.0,
            stop: StopReason::End,
            cut: CutReason::Pause,
            tokens: 3,
            audio_tokens: 13,
        }
    }

    #[test]
    fn segments_without_text_leave_no_trace_in_text_and_language() {
        let mut transcript = Transcript::default();
        for (separator, text, language) in [
            ("", "", None),
            ("", "One.", Some("English")),
            ("", "", None),
            (" ", "Two.", Some("English")),
            ("", "\u{4f60}\u{597d}\u{3002}", Some("Chinese")),
            ("", "Three.", Some("English")),
        ] {
            transcript.push(segment(separator, text, language));
        }
        assert_eq!(transcript.text, "One. Two.\u{4f60}\u{597d}\u{3002}Three.");
        assert_eq!(transcript.language.as_deref(), Some("English,Chinese,English"));
        assert_eq!(transcript.segments.len(), 6);
    }
}
