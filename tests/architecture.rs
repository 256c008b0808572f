//! The rules of ARCHITECTURE.md that a program can check. Each message says what to do.
//!
//! Reads the sources as text, so it also holds for units this machine does not compile.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules of the engine by rank. A file includes headers of lower rank only, and its own.
const RANKS: [&[&str]; 10] = [
    &["status", "num"],
    &["mem", "map", "mat"],
    &["buf", "pool", "json", "kernels", "cpu", "fft", "unicode", "hypothesis"],
    &["safetensors", "tokenizer", "audio", "config", "text", "language", "join", "blas", "vad"],
    &["ops", "weights"],
    &["encoder", "decoder"],
    &["prompt", "generate", "segment"],
    &["model", "live"],
    &["stream"],
    &["qwen_asr"],
];

/// Steps inside a rank, always in this direction.
const SAME_RANK: [(&str, &str); 6] = [
    ("map", "mem"),
    ("json", "buf"),
    ("unicode", "buf"),
    ("pool", "kernels"),
    ("cpu", "kernels"),
    ("generate", "prompt"),
];

/// Most lines of a C file and of a function; tests are longer by their tables of cases.
const ENGINE_LINES: (usize, usize) = (600, 80);
const TEST_LINES: (usize, usize) = (800, 120);
const REPOSITORY_BYTES: u64 = 25_000_000;

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    const NOT_OURS: [&str; 6] = ["target", ".git", "build", "qwen-full", "__pycache__", "data"];
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            found.push(path);
        } else if !NOT_OURS.contains(&entry.file_name().to_string_lossy().as_ref()) {
            walk(&path, found);
        }
    }
}

/// Text files below `dir` whose name ends with one of `endings`; test data left out.
fn sources(dir: &str, endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(dir), &mut found);
    found.sort();
    let source = |path: PathBuf| {
        let name = path.to_str()?;
        if !endings.iter().any(|ending| name.ends_with(ending)) {
            return None;
        }
        let relative = path.strip_prefix(root()).ok()?.to_str()?.replace('\\', "/");
        Some(Source { path: relative, text: fs::read_to_string(&path).ok()? })
    };
    found.into_iter().filter_map(source).collect()
}

fn engine() -> Vec<Source> {
    let files = sources("vendor/qwen-asr/src", &[".c", ".h"]);
    assert!(files.len() > 20, "the engine's sources are in vendor/qwen-asr/src");
    files
}

#[track_caller]
fn none(violations: &[String], rule: &str) {
    assert!(violations.is_empty(), "{rule}\n  {}", violations.join("\n  "));
}

/// The code with comments blanked and, if `strings` is false, the content of literals too. Lines stay where they are.
fn code(text: &str, strings: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('/', Some('/')) => {
                while rest.peek().is_some_and(|&next| next != '\n') {
                    rest.next();
                }
            }
            ('/', Some('*')) => {
                let mut last = ' ';
                for inside in rest.by_ref() {
                    out.push(blank(inside));
                    if (last, inside) == ('*', '/') {
                        break;
                    }
                    last = inside;
                }
            }
            // A quote character as a literal, in C and Rust; other single quotes may be lifetimes.
            ('\'', Some('"')) => {
                rest.next();
                rest.next();
                out.push_str("' '");
            }
            ('"', _) => {
                out.push('"');
                while let Some(inside) = rest.next() {
                    if inside == '"' {
                        break;
                    }
                    out.push(if strings { inside } else { blank(inside) });
                    if inside == '\\' {
                        let escaped = rest.next().unwrap_or(' ');
                        out.push(if strings { escaped } else { blank(escaped) });
                    }
                }
                out.push('"');
            }
            _ => out.push(c),
        }
    }
    out
}

/// Does `word` occur as a whole identifier, followed by `after` (which may be empty)?
fn has_word(text: &str, word: &str, after: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let end = &text[at + word.len()..];
        !text[..at].ends_with(inside) && !end.starts_with(inside) && end.trim_start().starts_with(after)
    })
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `qwen_asr_kernels_avx2.c` belongs to `kernels`, `qwen_asr.c` is a module of its own name.
fn module(file: &str) -> &str {
    let stem = file.split('.').next().unwrap_or(file);
    let name = stem.strip_prefix("qwen_asr_").unwrap_or(stem);
    RANKS
        .iter()
        .flat_map(|rank| rank.iter())
        .copied()
        .find(|known| name == *known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with('_')))
        .unwrap_or(name)
}

fn rank(module: &str) -> Option<usize> {
    RANKS.iter().position(|modules| modules.contains(&module))
}

/// Quoted includes.
fn includes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("#include \"")?.split('"').next())
}

#[test]
fn a_c_file_includes_lower_ranks_only() {
    let mut violations = Vec::new();
    for file in engine() {
        let own = module(file_name(&file.path));
        let Some(own_rank) = rank(own) else {
            violations.push(format!("{}: `{own}` has no rank", file.path));
            continue;
        };
        for header in includes(&file.text).filter(|&header| header != "qwen_asr.h") {
            let other = module(header);
            let below = rank(other).is_some_and(|other_rank| other_rank < own_rank);
            if own != other && !below && !SAME_RANK.contains(&(own, other)) {
                violations.push(format!("{} includes {header}", file.path));
            }
        }
    }
    none(&violations, "Pass the value in from the caller, or give a new module its rank here and in ARCHITECTURE.md:");
}

#[test]
fn the_ranks_here_are_those_the_documents_tell() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap_or_default();
    let mut violations = Vec::new();
    for file in engine().into_iter().filter(|file| file.path.ends_with(".h")) {
        let head: String = file.text.lines().take(12).collect();
        let told = head.split("Rank ").nth(1).and_then(|rest| rest.chars().next()?.to_digit(10)?.try_into().ok());
        let own = module(file_name(&file.path));
        if told.is_some() && told != rank(own) {
            violations.push(format!("the head of {}: {own} is of rank {:?}", file.path, rank(own)));
        }
    }
    for (rank, modules) in RANKS.iter().enumerate() {
        let row = document.lines().find(|line| line.starts_with(&format!("| {rank} |"))).unwrap_or_default();
        for module in *modules {
            if !row.contains(&format!("`{module}`")) {
                violations.push(format!("ARCHITECTURE.md: {module} is of rank {rank}"));
            }
        }
    }
    none(&violations, "Tell the same rank here, in ARCHITECTURE.md and in the head of the header:");
}

#[test]
fn units_for_one_instruction_set_share_no_code_with_the_others() {
    const ALLOWED: [&str; 3] = ["qwen_asr_kernels.h", "qwen_asr_kernels_simd.h", "qwen_asr_mat.h"];
    let mut violations = Vec::new();
    for file in engine() {
        let name = file_name(&file.path);
        if !["_avx2.c", "_avx512.c", "_neon.c", "_simd.h"].iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        for header in includes(&file.text).filter(|header| !ALLOWED.contains(header)) {
            violations.push(format!("{} includes {header}", file.path));
        }
        if !name.ends_with(".h") && !file.text.contains("#error") {
            violations.push(format!("{} does not stop with #error when its flags are missing", file.path));
        }
    }
    none(
        &violations,
        "An inline function compiled with wider instructions may be linked into baseline code. Keep these units to \
         kernels.h, kernels_simd.h and mat.h:",
    );
}

#[test]
fn the_library_never_prints_exits_or_reads_the_environment() {
    const FORBIDDEN: &str = "printf fprintf vprintf puts fputs putchar perror exit _exit abort assert getenv setenv \
        setlocale strcpy strcat sprintf vsprintf gets atoi atol atof alloca strtok system";
    const ALLOCATION: &str = "malloc calloc realloc free aligned_alloc posix_memalign strdup";
    let mut violations = Vec::new();
    for file in engine() {
        let text = code(&file.text, false);
        let in_mem = file.path.ends_with("_mem.c");
        let allocation = if in_mem { "" } else { ALLOCATION };
        for call in FORBIDDEN.split_whitespace().chain(allocation.split_whitespace()) {
            if has_word(&text, call, "(") {
                violations.push(format!("{} calls {call}", file.path));
            }
        }
    }
    none(&violations, "Return qwen_fail(...) with a sentence; allocate with qwen_alloc; size-checked functions only:");
}

/// Drops what only test builds compile.
fn without_test_hooks(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    let mut hooks = None;
    for line in text.lines() {
        let directive = line.trim_start().strip_prefix('#').map(str::trim_start).unwrap_or_default();
        if directive.starts_with("if") {
            depth += 1;
            if hooks.is_none()
                && (directive.contains("ifdef QWEN_TEST_HOOKS") || directive.contains("if defined(QWEN_TEST_HOOKS)"))
            {
                hooks = Some(depth);
            }
        } else if directive.starts_with("el") && hooks == Some(depth) {
            hooks = None;
        } else if directive.starts_with("endif") {
            if hooks == Some(depth) {
                hooks = None;
            }
            depth = depth.saturating_sub(1);
        }
        out.push_str(if hooks.is_some() || !directive.is_empty() { "" } else { line });
        out.push('\n');
    }
    out
}

#[test]
fn there_is_no_global_state() {
    let mut violations = Vec::new();
    for file in engine() {
        let text = without_test_hooks(&code(&file.text, false));
        let mut line_start = 0;
        for (number, line) in text.lines().enumerate() {
            let from = line_start;
            line_start += line.len() + 1;
            let Some(declared) = line.trim_start().strip_prefix("static ") else { continue };
            // Up to the value, the body or the end: a function has a parenthesis there, a constant says so.
            let until = text[from..].find(['=', '{', ';']).map_or(text.len(), |end| from + end);
            let whole = &text[from..until];
            if !declared.contains("const ") && !whole.contains('(') && !has_word(whole, "const", "") {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(
        &violations,
        "Keep it in qwen_model (constant after open) or qwen_stream (one thread at a time), or make it const:",
    );
}

#[test]
fn a_c_file_can_be_read_in_one_sitting() {
    let mut violations = Vec::new();
    let tests = sources("vendor/qwen-asr/tests", &[".c", ".h"]);
    let limited = engine().into_iter().map(|file| (file, ENGINE_LINES));
    for (file, (file_lines, function_lines)) in limited.chain(tests.into_iter().map(|file| (file, TEST_LINES))) {
        let head: String = file.text.lines().take(12).collect();
        if head.to_lowercase().contains("generated by") {
            continue;
        }
        let n_lines = file.text.lines().count();
        if n_lines > file_lines {
            violations.push(format!("{}: {n_lines} lines, at most {file_lines}", file.path));
        }
        for (line, length) in functions(&file.text) {
            if length > function_lines {
                violations
                    .push(format!("{}:{line}: a function of {length} lines, at most {function_lines}", file.path));
            }
        }
    }
    none(
        &violations,
        "Split by what the parts know, not by length alone; a generated table says \"generated by\" in its head:",
    );
}

/// First line and number of lines of every function body of a C file.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut start = None;
    let mut last = ' ';
    let mut directive = false;
    for (number, line) in code(text, false).lines().enumerate() {
        let starts_directive = line.trim_start().starts_with('#');
        let skip = directive || starts_directive;
        directive = skip && line.trim_end().ends_with('\\');
        if skip {
            continue;
        }
        for c in line.chars().filter(|c| !c.is_whitespace()) {
            match c {
                '{' => {
                    if depth == 0 && last == ')' {
                        start = Some(number);
                    }
                    depth += 1;
                }
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        found.extend(start.take().map(|from| (from + 1, number - from + 1)));
                    }
                }
                _ => {}
            }
            last = c;
        }
    }
    found
}

#[test]
fn the_function_finder_finds_functions() {
    let text = "struct s {\n    int a;\n};\n#define M(x) do { \\\n} while (0)\nstatic int f(int a,\n             int b) {\n    if (a) {\n        return '{';\n    }\n    return b; /* } */\n}\n";
    // A brace as a character literal is rare enough to be written as a number where it would matter.
    let text = text.replace("'{'", "0");
    assert_eq!(functions(&text), [(7, 6)]);
}

#[test]
fn names_of_tensors_and_tokens_are_known_in_one_place() {
    const KNOWLEDGE: [(&str, &[&str]); 7] = [
        ("self_attn", &["weights"]),
        ("audio_tower", &["weights"]),
        ("embed_tokens", &["weights"]),
        ("layernorm", &["weights"]),
        ("<|", &["prompt"]),
        ("<asr_text>", &["prompt", "text"]),
        ("assistant", &["prompt", "text"]),
    ];
    let mut violations = Vec::new();
    for file in engine() {
        let text = code(&file.text, true);
        let own = module(file_name(&file.path));
        for (name, homes) in KNOWLEDGE {
            // Between quotes only: identifiers may be called what they like.
            let literal =
                text.lines().any(|line| line.split('"').skip(1).step_by(2).any(|inside| inside.contains(name)));
            if literal && !homes.contains(&own) {
                violations.push(format!("{} names {name:?}, which only {homes:?} should know", file.path));
            }
        }
    }
    none(&violations, "Ask the module that knows for what the name stands for:");
}

#[test]
fn every_symbol_of_the_engine_has_its_prefix() {
    let mut violations = Vec::new();
    for file in engine().into_iter().filter(|file| file.path.ends_with(".h")) {
        for line in code(&file.text, false).lines() {
            let Some(defined) = line.strip_prefix("#define ") else { continue };
            let name = defined.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            // The body shared by the instruction sets is a template: its macros are named by the unit that includes it.
            if !name.starts_with("QWEN_") && !file.path.ends_with("_simd.h") {
                violations.push(format!("{} defines {name}", file.path));
            }
        }
    }
    none(&violations, "Macros in headers start with QWEN_, as everything with linkage starts with qwen_:");
}

#[test]
fn names_of_engine_files_are_unique() {
    let mut seen = HashMap::new();
    let mut violations = Vec::new();
    for file in sources("vendor/qwen-asr", &[".c", ".h", ".md", ".py"]) {
        let name = file_name(&file.path).to_owned();
        if let Some(other) = seen.insert(name, file.path.clone()) {
            violations.push(format!("{other} and {}", file.path));
        }
    }
    none(&violations, "A file is found by its name alone; rename one of:");
}

#[test]
fn only_the_engine_room_touches_the_raw_interface() {
    let mut violations = Vec::new();
    for file in sources("src", &[".rs"]) {
        if file.path.starts_with("src/sys") || file.path.starts_with("src/engine") {
            continue;
        }
        let text = code(&file.text, false);
        if has_word(&text, "sys", "::") {
            violations.push(format!("{} names sys::", file.path));
        }
        if has_word(&text, "unsafe", "") {
            violations.push(format!("{} holds unsafe code", file.path));
        }
    }
    none(&violations, "Give src/engine a safe function for it:");
}

#[test]
fn audio_and_engine_do_not_know_each_other() {
    let mut violations = Vec::new();
    for (room, other) in [("audio", "engine"), ("engine", "audio")] {
        for file in sources("src", &[".rs"]) {
            if !file.path.starts_with(&format!("src/{room}/")) && file.path != format!("src/{room}.rs") {
                continue;
            }
            let text = code(&file.text, false);
            let used =
                [format!("crate::{other}"), format!("super::{other}")].iter().any(|path| text.contains(path.as_str()));
            if used {
                violations.push(format!("{} names {other}", file.path));
            }
        }
    }
    none(
        &violations,
        "Samples go from one to the other through the caller; what both need goes into src/error.rs or src/lib.rs:",
    );
}

#[test]
fn the_command_line_uses_the_public_interface_only() {
    let mut violations = Vec::new();
    for file in sources("cli/src", &[".rs"]) {
        let text = code(&file.text, false);
        for name in ["sys", "qwen_model", "qwen_stream"] {
            if text.contains(&format!("diy_typeless::{name}")) || text.contains(&format!("{name}_open")) {
                violations.push(format!("{} names {name}", file.path));
            }
        }
        if has_word(&text, "unsafe", "") {
            violations.push(format!("{} holds unsafe code", file.path));
        }
    }
    none(&violations, "What the command line needs, other programs need too: make it part of the crate:");
}

#[test]
fn the_build_script_stays_small() {
    let lines = fs::read_to_string(root().join("build.rs")).map_or(0, |text| text.lines().count());
    assert!(
        lines < 150,
        "build.rs has {lines} lines, fewer than 150 are allowed: it lists files and flags, it decides nothing"
    );
}

#[test]
fn nothing_is_left_for_later() {
    let macros = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!(")];
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut violations = Vec::new();
    for file in sources(".", &[".rs", ".c", ".h", ".sh", ".py"]) {
        for (number, line) in file.text.lines().enumerate() {
            if macros.iter().any(|&name| line.contains(name)) || words.iter().any(|&word| has_word(line, word, "")) {
                violations.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(&violations, "Do it, or say in a sentence what is not supported:");
}

#[test]
fn text_files_are_clean() {
    let machine_paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "b-")];
    let mut violations = Vec::new();
    let endings =
        [".rs", ".c", ".h", ".sh", ".py", ".md", ".toml", "Makefile", "/run", "LICENSE-MIT", "LICENSE-APACHE"];
    for file in sources(".", &endings) {
        let mut note = |line: usize, what: &str| violations.push(format!("{}:{line}: {what}", file.path));
        for (number, line) in file.text.split('\n').enumerate() {
            if line.ends_with('\r') {
                note(number + 1, "CRLF line end");
            } else if line.ends_with([' ', '\t']) {
                note(number + 1, "space at the end of the line");
            }
            if line.contains('\t') && !file.path.ends_with("Makefile") {
                note(number + 1, "tab");
            }
            if machine_paths.iter().any(|&path| line.contains(path)) {
                note(number + 1, "path of one machine");
            }
        }
        if !file.text.ends_with('\n') {
            note(file.text.lines().count(), "no line end at the end of the file");
        }
    }
    none(&violations, "Indent with spaces, end lines with LF, name nothing that exists on one machine only:");
}

#[test]
fn the_repository_is_small_enough_to_clone_anywhere() {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output();
    // A source archive has no history to measure.
    let Ok(listed) = listed else { return };
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut sizes: Vec<(u64, &str)> = names
        .split('\0')
        .filter_map(|name| Some((fs::metadata(root().join(name)).ok().filter(fs::Metadata::is_file)?.len(), name)))
        .collect();
    sizes.sort_unstable();
    sizes.reverse();
    let total: u64 = sizes.iter().map(|file| file.0).sum();
    let largest: Vec<_> = sizes.iter().take(5).map(|(size, name)| format!("{size} {name}")).collect();
    assert!(
        total < REPOSITORY_BYTES,
        "{total} bytes of files, fewer than {REPOSITORY_BYTES} are allowed. Make test data smaller; the largest files:\n  {}",
        largest.join("\n  ")
    );
}
