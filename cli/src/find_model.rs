//! Which model to use when the user did not say: the environment, then what download_model.sh installed.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::{Code, Failure};

/// Installed models that are taken without asking, the first one there is.
const PREFERRED: [&str; 2] = ["qwen3-asr-0.6b", "qwen3-asr-1.7b"];

pub(crate) const HOW_TO_GET_ONE: &str = "get one with ./download_model.sh --model small; for trying out, \
    a very small one ships with the sources: --local-asr tests/data/tiny-qwen3-asr";

/// The model's directory: flag, environment, installed.
pub(crate) fn find_model(flag: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(dir) = flag {
        return Ok(dir.to_owned());
    }
    if let Some(dir) = env::var_os("DIY_TYPELESS_MODEL").filter(|dir| !dir.is_empty()) {
        return Ok(dir.into());
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    match models_dir(home.as_deref(), env::var_os("XDG_DATA_HOME"), cfg!(target_os = "macos")) {
        Some(dir) => installed(&dir),
        None => Err(none()),
    }
}

/// Where download_model.sh puts models.
fn models_dir(home: Option<&Path>, xdg_data_home: Option<OsString>, macos: bool) -> Option<PathBuf> {
    if macos {
        return Some(home?.join("Library/Application Support/DIYTypeless/models"));
    }
    let data = xdg_data_home.map(PathBuf::from).filter(|dir| dir.is_absolute());
    Some(data.or_else(|| Some(home?.join(".local/share")))?.join("diy-typeless/models"))
}

fn installed(dir: &Path) -> Result<PathBuf, Failure> {
    let is_model = |dir: &PathBuf| dir.join("config.json").is_file();
    if let Some(found) = PREFERRED.iter().map(|name| dir.join(name)).find(is_model) {
        return Ok(found);
    }
    let entries = dir.read_dir().map_err(|_| none())?;
    let mut others: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_model).collect();
    others.sort();
    match others.as_slice() {
        [] => Err(none()),
        [only] => Ok(only.clone()),
        [first, ..] => Err(Failure::new(Code::Model, format!("several models are installed in {}", dir.display()))
            .hint(format!("choose one, for example --local-asr {}", first.display()))),
    }
}

fn none() -> Failure {
    Failure::new(Code::Model, "no model is installed").hint(HOW_TO_GET_ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(dir: &Path, names: &[&str]) {
        for name in names {
            std::fs::create_dir_all(dir.join(name)).expect("creates");
            std::fs::write(dir.join(name).join("config.json"), "{}").expect("writes");
        }
    }

    #[test]
    fn the_platforms_keep_models_where_they_keep_data() {
        let home = Some(Path::new("/home/u"));
        let shown = |dir: Option<PathBuf>| dir.expect("some").display().to_string();
        assert_eq!(shown(models_dir(home, None, false)), "/home/u/.local/share/diy-typeless/models");
        assert_eq!(shown(models_dir(home, Some("/d".into()), false)), "/d/diy-typeless/models");
        assert_eq!(shown(models_dir(home, Some("relative".into()), false)), "/home/u/.local/share/diy-typeless/models");
        assert_eq!(
            shown(models_dir(home, Some("/d".into()), true)),
            "/home/u/Library/Application Support/DIYTypeless/models"
        );
        assert_eq!(models_dir(None, None, false), None);
    }

    #[test]
    fn the_small_model_is_preferred_then_the_large_one_then_a_single_other() {
        let dir = tempfile::tempdir().expect("creates");
        let root = dir.path();
        assert_eq!(installed(root).expect_err("empty").code, Code::Model);
        std::fs::create_dir(root.join("half-downloaded")).expect("creates");
        make(root, &["mine"]);
        assert_eq!(installed(root).expect("one"), root.join("mine"));
        make(root, &["other"]);
        let failure = installed(root).expect_err("two");
        assert!(failure.message.starts_with("several models are installed"), "{}", failure.message);
        make(root, &["qwen3-asr-1.7b"]);
        assert_eq!(installed(root).expect("large"), root.join("qwen3-asr-1.7b"));
        make(root, &["qwen3-asr-0.6b"]);
        assert_eq!(installed(root).expect("small"), root.join("qwen3-asr-0.6b"));
        assert_eq!(installed(&root.join("absent")).expect_err("absent").code, Code::Model);
    }
}
