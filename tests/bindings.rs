//! The checked-in bindings are those of the header. Run with `--features bindgen`; without it there is nothing to compare.
#![cfg(feature = "bindgen")]

use std::fs;
use std::path::Path;

/// Without what depends on the version of the formatter: white space, commas before closing brackets.
fn normalised(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut out: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for close in [')', ']', '}', '>'] {
        out = out.replace(&format!(",{close}"), &close.to_string());
    }
    out
}

#[test]
fn the_checked_in_bindings_are_those_of_the_header() {
    let made = Path::new(env!("OUT_DIR")).join("bindings.rs");
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sys/bindings.rs");
    let (new, old) = (normalised(&made), normalised(&checked_in));
    assert!(new.contains("qwen_stream_open"), "{} holds the interface", made.display());
    if let Some(at) = new.bytes().zip(old.bytes()).position(|(a, b)| a != b).or((new.len() != old.len()).then_some(0)) {
        let around = |text: &str| text.chars().skip(at.saturating_sub(80)).take(160).collect::<String>();
        panic!(
            "vendor/qwen-asr/include/qwen_asr.h has changed.\n  header:     {}\n  checked in: {}\nTo update: cp {} {}",
            around(&new),
            around(&old),
            made.display(),
            checked_in.display()
        );
    }
}
