//! What tests of the whole share: where the data is, the small model, the speech and what is said in it.

use std::path::{Path, PathBuf};

use diy_typeless::Model;

pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

pub(crate) fn model() -> Model {
    Model::open(data("tiny-qwen3-asr")).expect("the small model is in the repository")
}

/// An empty directory of this test's own, somewhere in the build directory.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Left by an earlier run, if at all.
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("creates");
    dir
}

#[cfg(feature = "files")]
pub(crate) use speech::{Random, official, samples};

#[cfg(feature = "files")]
mod speech {
    use diy_typeless::audio::AudioReader;
    use serde_json::Value;

    use super::data;

    /// What the official implementation hears in a file of tests/data/speech, decoding it in one piece.
    pub(crate) fn official(file: &str) -> String {
        let text = std::fs::read_to_string(data("speech/manifest.json")).expect("is in the repository");
        let list: Vec<Value> = serde_json::from_str(&text).expect("is JSON");
        let entry = list.iter().find(|entry| entry["file"] == file).expect("is listed");
        entry["official"].as_str().expect("long ones have none").to_owned()
    }

    /// The samples of a file of tests/data/speech.
    pub(crate) fn samples(file: &str) -> Vec<f32> {
        AudioReader::open(data("speech").join(file)).expect("opens").read_all().expect("reads")
    }

    /// Numbers that look random and are the same in every run.
    pub(crate) struct Random(pub(crate) u64);

    impl Random {
        /// 0 to below `n`.
        pub(crate) fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).expect("31 bits") % n
        }
    }
}
