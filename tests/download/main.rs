//! `download_model.sh` against a server on this machine that breaks off, lies and refuses: what ends up under a file's
//! own name is always the published file, and every failure is a sentence that says what to do.

mod server;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use server::{Manner, Server};

const SMALL_FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "chat_template.json",
];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const WEIGHT_BYTES: usize = 300_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    HuggingFace,
    ModelScope,
}

/// A published model on a server of its own, and an empty directory to download it into.
struct Fixture {
    server: Server,
    source: Source,
    repo: &'static str,
    files: Vec<(String, Vec<u8>)>,
    home: PathBuf,
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Bytes that do not repeat in any way a wrong offset could hide behind.
fn noise(seed: u32, n: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..n).map(|_| next()).collect()
}

/// A hash by the tool the script itself would use.
fn hash(bits: &str, content: &[u8]) -> String {
    let own = format!("sha{bits}sum");
    let candidates = [(own.as_str(), vec![]), ("shasum", vec!["-a", bits])];
    for (program, args) in &candidates {
        let spawned = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else { continue };
        child.stdin.take().expect("piped").write_all(content).expect("the tool reads its input");
        let out = child.wait_with_output().expect("the tool ends");
        let text = String::from_utf8(out.stdout).expect("hexadecimal");
        return text.split_whitespace().next().expect("a hash").to_owned();
    }
    panic!("neither {own} nor shasum is installed");
}

fn git_hash(content: &[u8]) -> String {
    let mut blob = format!("blob {}\0", content.len()).into_bytes();
    blob.extend_from_slice(content);
    hash("1", &blob)
}

impl Fixture {
    fn small(source: Source) -> Self {
        let mut files: Vec<_> =
            (1..).zip(SMALL_FILES).map(|(seed, name)| (name.to_owned(), noise(seed, 500 + name.len()))).collect();
        files.push((WEIGHTS.to_owned(), noise(99, WEIGHT_BYTES)));
        Self::new(source, "Qwen/Qwen3-ASR-0.6B", files)
    }

    fn large(source: Source) -> Self {
        let mut files: Vec<_> =
            (1..).zip(SMALL_FILES).map(|(seed, name)| (name.to_owned(), noise(seed, 400 + name.len()))).collect();
        let index = format!(
            r#"{{"metadata":{{"total_size":9}},"weight_map":{{"a":"{0}","b":"{1}","c":"{0}"}}}}"#,
            SHARDS[0], SHARDS[1]
        );
        files.push((INDEX.to_owned(), index.into_bytes()));
        files.push((SHARDS[0].to_owned(), noise(21, WEIGHT_BYTES)));
        files.push((SHARDS[1].to_owned(), noise(22, WEIGHT_BYTES / 2)));
        Self::new(source, "Qwen/Qwen3-ASR-1.7B", files)
    }

    fn new(source: Source, repo: &'static str, files: Vec<(String, Vec<u8>)>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let home = std::env::temp_dir().join(format!(
            "download model test {} {}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).expect("a directory for the test");
        let fixture = Self { server: Server::start(), source, repo, files, home };
        for (name, content) in &fixture.files {
            fixture.server.put(&fixture.url_path(name), content, Manner::Fine);
        }
        fixture.publish(&fixture.listing());
        fixture
    }

    fn url_path(&self, name: &str) -> String {
        match self.source {
            Source::HuggingFace => format!("/{}/resolve/main/{name}", self.repo),
            Source::ModelScope => format!("/models/{}/resolve/master/{name}", self.repo),
        }
    }

    fn listing_path(&self) -> String {
        match self.source {
            Source::HuggingFace => format!("/api/models/{}/tree/main?recursive=true", self.repo),
            Source::ModelScope => format!("/api/v1/models/{}/repo/files?Revision=master&Recursive=true", self.repo),
        }
    }

    fn publish(&self, listing: &str) {
        self.server.put(&self.listing_path(), listing.as_bytes(), Manner::Fine);
    }

    /// The file list as the source writes it.
    fn listing(&self) -> String {
        let entry = |(name, content): &(String, Vec<u8>)| {
            let size = content.len();
            let sha256 = hash("256", content);
            match self.source {
                Source::HuggingFace if name.ends_with(".safetensors") => format!(
                    r#"{{"type":"file","oid":"{}","size":{size},"lfs":{{"oid":"{sha256}","size":{size},"pointerSize":135}},"path":"{name}"}}"#,
                    "ab".repeat(20)
                ),
                Source::HuggingFace => {
                    format!(r#"{{"type":"file","oid":"{}","size":{size},"path":"{name}"}}"#, git_hash(content))
                }
                Source::ModelScope => format!(
                    r#"{{ "CommitMessage": "say \"hi\", {{[", "CommittedDate": 1667548386, "InCheck": false,
                    "Name": "{name}", "Path": "{name}", "Revision": "{}", "Sha256": "{sha256}", "Size": {size}, "Type": "blob" }}"#,
                    "e4".repeat(20)
                ),
            }
        };
        let entries: Vec<_> = self.files.iter().map(entry).collect();
        match self.source {
            Source::HuggingFace => format!(
                r#"[{{"type":"directory","oid":"{}","size":0,"path":"assets"}},{}]"#,
                "cd".repeat(20),
                entries.join(",")
            ),
            Source::ModelScope => format!(
                "{{\"Code\": 200, \"Data\": {{\"Files\": [ {} ]}}, \"Message\": \"success\", \"Success\": true}}\n",
                entries.join(",\n")
            ),
        }
    }

    fn dir(&self) -> PathBuf {
        self.home.join("models here")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn part(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.part"))
    }

    fn content(&self, name: &str) -> &[u8] {
        &self.files.iter().find(|file| file.0 == name).expect("a published file").1
    }

    fn serve(&self, name: &str, manner: Manner) {
        self.server.put(&self.url_path(name), self.content(name), manner);
    }

    /// Leaves `content` in the directory, as an earlier run or another program might have.
    fn leave(&self, name: &str, content: &[u8]) {
        fs::create_dir_all(self.dir()).expect("the model directory");
        fs::write(self.path(name), content).expect("a file in it");
    }

    fn command(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("download_model.sh");
        let mut command = Command::new("bash");
        command.arg(script).env("HOME", &self.home).env_remove("XDG_DATA_HOME").env("NO_PROXY", "127.0.0.1");
        command.env("HF_ENDPOINT", self.server.url()).env("MODELSCOPE_ENDPOINT", self.server.url());
        command.env("DOWNLOAD_RETRY_SECONDS", "0.05").env("LC_ALL", "C");
        command
    }

    /// The command a user would type.
    fn download(&self) -> Ran {
        let mut command = self.command();
        command.args(["--model", if self.repo.ends_with("0.6B") { "small" } else { "large" }]);
        command.arg("--dir").arg(self.dir());
        if self.source == Source::ModelScope {
            command.args(["--source", "modelscope"]);
        }
        run(command)
    }

    /// The run succeeded, told the directory and nothing else, and left exactly the published files.
    fn assert_complete(&self, ran: &Ran) {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("{}\n", self.dir().display()));
        let mut there: Vec<_> = fs::read_dir(self.dir())
            .expect("the model directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
            .filter(|name| !name.ends_with(".old"))
            .collect();
        let mut published: Vec<_> = self.files.iter().map(|file| file.0.clone()).collect();
        there.sort();
        published.sort();
        assert_eq!(there, published, "{}", ran.stderr);
        for (name, content) in &self.files {
            assert!(fs::read(self.path(name)).expect("a file") == *content, "{name} has the wrong content");
        }
    }

    /// First bytes of the requests for `name` since the last look.
    fn requests_for(&self, name: &str) -> Vec<usize> {
        let path = self.url_path(name);
        self.server.take_log().into_iter().filter(|request| request.path == path).map(|request| request.from).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Ran {
    /// The run failed and said why.
    #[track_caller]
    fn assert_failed(&self, code: i32, sentences: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "", "standard output is for the directory only");
        for sentence in sentences {
            assert!(self.stderr.contains(sentence), "{sentence:?} is not in:\n{}", self.stderr);
        }
    }
}

/// Runs to the end, which must come within a minute.
fn run(mut command: Command) -> Ran {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash is installed");
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("the child can be waited for").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("download_model.sh did not end within a minute");
        }
        thread::sleep(Duration::from_millis(10));
    }
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the child has ended");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

#[test]
fn a_model_arrives_complete_and_is_not_fetched_twice() {
    for source in [Source::HuggingFace, Source::ModelScope] {
        let model = Fixture::small(source);
        let ran = model.download();
        model.assert_complete(&ran);
        assert!(!ran.stderr.contains('\r'), "no progress bar without a terminal");
        model.server.take_log();

        model.assert_complete(&model.download());
        let log = model.server.take_log();
        assert_eq!(log.len(), 1, "the second run asks for the file list only: {log:?}");
    }
}

#[test]
fn the_shards_of_the_large_model_are_those_its_index_names() {
    for source in [Source::HuggingFace, Source::ModelScope] {
        let model = Fixture::large(source);
        model.assert_complete(&model.download());
    }
    // Without a file list the large model is known to come in shards.
    let model = Fixture::large(Source::HuggingFace);
    model.server.remove(&model.listing_path());
    model.assert_complete(&model.download());
}

#[test]
fn shard_names_cannot_lead_out_of_the_directory() {
    let mut model = Fixture::large(Source::HuggingFace);
    let index = br#"{"weight_map":{"a":"../outside.safetensors"}}"#.to_vec();
    for file in &mut model.files {
        if file.0 == INDEX {
            file.1.clone_from(&index);
        }
    }
    model.serve(INDEX, Manner::Fine);
    model.publish(&model.listing());
    model.download().assert_failed(1, &["names no weight file"]);
    assert!(!model.home.join("outside.safetensors").exists());
}

#[test]
fn a_connection_that_keeps_breaking_is_resumed_where_it_broke() {
    let model = Fixture::small(Source::HuggingFace);
    model.serve(WEIGHTS, Manner::BreaksAfter(40_000));
    let ran = model.download();
    model.assert_complete(&ran);
    let starts = model.requests_for(WEIGHTS);
    assert!(starts.len() > 7, "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "every attempt goes on further: {starts:?}");
    assert!(ran.stderr.contains("the connection broke off"), "{}", ran.stderr);
}

#[test]
fn when_nothing_more_comes_it_gives_up_and_the_same_command_goes_on() {
    let model = Fixture::small(Source::HuggingFace);
    model.serve(WEIGHTS, Manner::StopsAt(123_456));
    model.download().assert_failed(1, &["123456 of 300000 bytes", "hint: the same command goes on from here"]);
    assert!(!model.path(WEIGHTS).exists());
    assert!(fs::read(model.part(WEIGHTS)).expect("the part is kept") == model.content(WEIGHTS)[..123_456]);

    model.serve(WEIGHTS, Manner::Fine);
    model.server.take_log();
    model.assert_complete(&model.download());
    assert_eq!(model.requests_for(WEIGHTS), [123_456]);
}

#[test]
fn a_server_in_trouble_is_asked_again_a_few_times() {
    let model = Fixture::small(Source::HuggingFace);
    model.serve(WEIGHTS, Manner::Status(503));
    model.download().assert_failed(1, &["the server answers HTTP 503", "gave up after 5 attempts"]);
    assert_eq!(model.requests_for(WEIGHTS).len(), 5);
    assert!(!model.path(WEIGHTS).exists() && !model.part(WEIGHTS).exists(), "no error page in any file");
}

#[test]
fn a_wrong_byte_is_found_and_the_file_removed() {
    for (source, name, sentence) in [
        (Source::HuggingFace, WEIGHTS, "its SHA-256 is"),
        (Source::HuggingFace, "vocab.json", "its git hash is"),
        (Source::ModelScope, "vocab.json", "its SHA-256 is"),
    ] {
        let model = Fixture::small(source);
        let mut wrong = model.content(name).to_vec();
        let middle = wrong.len() / 2;
        wrong[middle] ^= 1;
        model.server.put(&model.url_path(name), &wrong, Manner::Fine);
        let named = format!("{name}: the download is damaged and was removed");
        model.download().assert_failed(1, &[&named, sentence]);
        assert!(!model.path(name).exists() && !model.part(name).exists());
        assert_eq!(model.requests_for(name).len(), 1, "bytes of this run are not asked for twice");

        model.serve(name, Manner::Fine);
        model.assert_complete(&model.download());
    }
}

#[test]
fn a_part_of_another_version_is_dropped() {
    let model = Fixture::small(Source::ModelScope);
    model.leave("model.safetensors.part", &noise(5, 200_000));
    let ran = model.download();
    model.assert_complete(&ran);
    assert!(ran.stderr.contains("does not belong to this file"), "{}", ran.stderr);
    assert_eq!(model.requests_for(WEIGHTS), [200_000, 0]);
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_address() {
    let model = Fixture::small(Source::HuggingFace);
    model.server.remove(&model.url_path(WEIGHTS));
    let url = format!("{}{}: there is no such file (HTTP 404)", model.server.url(), model.url_path(WEIGHTS));
    model.download().assert_failed(1, &[&url, "--source modelscope"]);
    assert!(!model.path(WEIGHTS).exists() && !model.part(WEIGHTS).exists());

    model.serve(WEIGHTS, Manner::Status(403));
    model.download().assert_failed(1, &["access is refused (HTTP 403)"]);
}

#[test]
fn a_part_the_server_refuses_to_continue_is_started_again() {
    let model = Fixture::small(Source::HuggingFace);
    model.leave("model.safetensors.part", &model.content(WEIGHTS)[..1000]);
    model.serve(WEIGHTS, Manner::RefusesRanges);
    let ran = model.download();
    model.assert_complete(&ran);
    assert!(ran.stderr.contains("HTTP 416"), "{}", ran.stderr);
    assert_eq!(model.requests_for(WEIGHTS), [1000, 0]);
}

#[test]
fn a_part_as_long_as_the_file_is_checked_and_a_longer_one_dropped() {
    let model = Fixture::small(Source::HuggingFace);
    model.leave("model.safetensors.part", model.content(WEIGHTS));
    model.assert_complete(&model.download());
    assert_eq!(model.requests_for(WEIGHTS), [0; 0], "nothing was missing");

    let model = Fixture::small(Source::HuggingFace);
    let mut longer = model.content(WEIGHTS).to_vec();
    longer.push(0);
    model.leave("model.safetensors.part", &longer);
    model.assert_complete(&model.download());
    assert_eq!(model.requests_for(WEIGHTS), [0]);

    // The length is not known without a file list: the server's 416 settles it.
    let model = Fixture::small(Source::HuggingFace);
    model.server.remove(&model.listing_path());
    model.leave("model.safetensors.part", &longer);
    model.assert_complete(&model.download());
}

#[test]
fn a_server_without_ranges_is_no_obstacle() {
    let model = Fixture::small(Source::HuggingFace);
    model.leave("model.safetensors.part", &model.content(WEIGHTS)[..100_000]);
    model.serve(WEIGHTS, Manner::IgnoresRanges);
    let ran = model.download();
    model.assert_complete(&ran);
    assert!(ran.stderr.contains("the server cannot resume"), "{}", ran.stderr);

    let model = Fixture::small(Source::HuggingFace);
    model.serve(WEIGHTS, Manner::IgnoresRangesBreaksOnce);
    model.assert_complete(&model.download());
}

#[test]
fn without_a_file_list_the_download_still_works_and_says_what_is_not_checked() {
    for source in [Source::HuggingFace, Source::ModelScope] {
        let model = Fixture::small(source);
        let useless: [Option<(&str, Manner)>; 4] = [
            None,
            Some(("<html><body>Please log in to this network</body></html>", Manner::Fine)),
            Some(("[{\"path\": \"config.json\", \"size\": 12", Manner::Fine)),
            Some(("", Manner::Status(500))),
        ];
        for listing in useless {
            let _ = fs::remove_dir_all(model.dir());
            match listing {
                None => model.server.remove(&model.listing_path()),
                Some((body, manner)) => model.server.put(&model.listing_path(), body.as_bytes(), manner),
            }
            let ran = model.download();
            model.assert_complete(&ran);
            assert!(ran.stderr.contains("sizes and hashes cannot be checked"), "{}", ran.stderr);
        }
        // A broken connection is seen even so, and resumed.
        let _ = fs::remove_dir_all(model.dir());
        model.serve(WEIGHTS, Manner::BreaksAfter(90_000));
        model.assert_complete(&model.download());
    }
}

#[test]
fn a_file_list_without_the_weights_is_refused() {
    let mut model = Fixture::small(Source::HuggingFace);
    model.files.retain(|file| file.0 != WEIGHTS);
    model.publish(&model.listing());
    model.download().assert_failed(1, &["lists no file model.safetensors in Qwen/Qwen3-ASR-0.6B"]);
}

#[test]
fn what_is_already_there_is_repaired_and_nobodys_own_file_is_lost() {
    let model = Fixture::small(Source::HuggingFace);
    // As another program leaves it when it is stopped.
    model.leave(WEIGHTS, &model.content(WEIGHTS)[..150_000]);
    model.leave("config.json", b"{\"mine\": true}");
    model.assert_complete(&model.download());
    assert_eq!(model.requests_for(WEIGHTS), [150_000]);
    assert_eq!(fs::read(model.path("config.json.old")).expect("kept"), b"{\"mine\": true}");

    let mut damaged = model.content(WEIGHTS).to_vec();
    damaged[7] ^= 0x80;
    model.leave(WEIGHTS, &damaged);
    let ran = model.download();
    model.assert_complete(&ran);
    assert!(ran.stderr.contains("model.safetensors is damaged"), "{}", ran.stderr);
}

#[test]
fn a_download_that_does_not_fit_is_refused_before_it_starts() {
    let model = Fixture::small(Source::HuggingFace);
    let listing = model.listing().replace(&format!("\"size\":{WEIGHT_BYTES}"), "\"size\":9000000000000000");
    model.publish(&listing);
    model.download().assert_failed(1, &["the rest of the download needs 9000000.00 GB", " free"]);
    assert_eq!(model.server.take_log().len(), 1, "only the file list was asked for");
}

#[test]
fn an_unreachable_source_is_a_sentence_that_names_the_other_one() {
    let model = Fixture::small(Source::HuggingFace);
    let mut command = model.command();
    // Port 9 of this machine: nobody listens.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9").args(["--model", "small", "--dir"]).arg(model.dir());
    run(command).assert_failed(1, &["huggingface cannot be reached at http://127.0.0.1:9", "--source modelscope"]);
}

#[test]
fn without_a_directory_the_usual_place_is_used() {
    let model = Fixture::small(Source::HuggingFace);
    let usual = if cfg!(target_os = "macos") {
        model.home.join("Library/Application Support/DIYTypeless/models/qwen3-asr-0.6b")
    } else {
        model.home.join(".local/share/diy-typeless/models/qwen3-asr-0.6b")
    };
    let mut command = model.command();
    command.args(["--model", "small"]);
    let ran = run(command);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{}\n", usual.display())), "{}", ran.stderr);
    assert!(usual.join(WEIGHTS).exists());

    if !cfg!(target_os = "macos") {
        let data = model.home.join("data");
        let mut command = model.command();
        command.args(["--model", "small"]).env("XDG_DATA_HOME", &data);
        assert_eq!(run(command).stdout, format!("{}\n", data.join("diy-typeless/models/qwen3-asr-0.6b").display()));
    }
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let model = Fixture::small(Source::HuggingFace);
    let cases: [(&[&str], &str); 7] = [
        (&[], "--model small or --model large is needed"),
        (&["--dir", "somewhere"], "--model small or --model large is needed"),
        (&["--model", "medium"], "--model is small or large, not `medium`"),
        (&["--model"], "--model needs a value"),
        (&["--model=small", "--source=ftp"], "--source is huggingface or modelscope, not `ftp`"),
        (&["--models", "small"], "unknown argument `--models`"),
        (&["small"], "unknown argument `small`"),
    ];
    for (args, sentence) in cases {
        let mut command = model.command();
        command.args(args);
        run(command).assert_failed(2, &[sentence, "hint: ./download_model.sh --help"]);
    }
    for flag in ["-h", "--help"] {
        let mut command = model.command();
        command.arg(flag);
        let ran = run(command);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("--source NAME") && ran.stdout.contains("Exit codes"), "{}", ran.stdout);
    }
    assert!(model.server.take_log().is_empty());
}

/// A terminal by way of `script` of util-linux; other systems call it differently.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_asks_which_model_and_where() {
    let model = Fixture::small(Source::HuggingFace);
    let inner = format!("bash '{}/download_model.sh'", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("script");
    command.args(["-qec", &inner, "/dev/null"]);
    for (key, value) in model.command().get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    // A machine without `script` has no terminal to offer.
    let Ok(mut child) = spawned else { return };
    let mut typed = child.stdin.take().expect("piped");
    typed.write_all(b"3\nsmall\n~/my models\n").expect("it reads the answers");
    let out = child.wait_with_output().expect("it ends");
    drop(typed);
    let screen = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{screen}");
    for line in ["Which model?", "Please answer 1 or 2.", "Directory [", "The model is complete"] {
        assert!(screen.contains(line), "{line:?} is not in:\n{screen}");
    }
    let chosen = model.home.join("my models");
    assert!(screen.trim_end().ends_with(&chosen.display().to_string()), "{screen}");
    assert!(chosen.join(WEIGHTS).exists());
}
