//! Models: opened once, shared by everything that transcribes.

use std::ffi::CString;
use std::fmt;
use std::ops::BitOr;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::error::Error;
use crate::sys;

use super::call::{Failure, call, literal};

/// A Qwen3-ASR model: weights, tokenizer, sizes. Cheap to clone, and every clone is the same model.
///
/// The weights are mapped, not read: opening takes a moment whatever their size, and several programs share the memory.
/// The files must not be changed while a model is open; see [`ModelOptions::no_mmap`].
///
/// ```
/// use diy_typeless::Model;
///
/// let model = Model::open("tests/data/tiny-qwen3-asr")?;
/// let info = model.info();
/// println!("{} parameters, computed with {}", info.parameters, info.kernels);
/// # Ok::<(), diy_typeless::Error>(())
/// ```
#[derive(Clone)]
pub struct Model(Arc<RawModel>);

/// How a model is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ModelOptions {
    /// Read the weights into memory instead of mapping the files. For files that others may truncate: that would end a
    /// program which has them mapped.
    pub no_mmap: bool,
    /// Instructions not to use even if the processor has them.
    pub disabled_cpu_features: CpuFeatures,
}

/// A set of instruction set extensions that the engine has kernels for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CpuFeatures(u32);

impl CpuFeatures {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// AVX2 with FMA and F16C.
    pub const AVX2: Self = Self(sys::QWEN_CPU_AVX2);
    /// AVX-512 F, BW, VL and DQ.
    pub const AVX512: Self = Self(sys::QWEN_CPU_AVX512);
    /// NEON, which every 64-bit ARM processor has.
    pub const NEON: Self = Self(sys::QWEN_CPU_NEON);
    /// Everything there is, now or later: what is left are the portable kernels.
    pub const ALL: Self = Self(u32::MAX);
}

impl BitOr for CpuFeatures {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a model is and how it is computed here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The kernels in use: "scalar", "avx2", "avx512" or "neon".
    pub kernels: &'static str,
    /// What multiplies matrices of many rows: "native", "openblas" or "accelerate".
    pub gemm: &'static str,
    /// Weights in use; an output head that is tied to the embedding counts once.
    pub parameters: u64,
    /// Bytes of the weight files that are mapped, or read.
    pub mapped_bytes: u64,
    /// Layers of the audio encoder.
    pub encoder_layers: u32,
    /// Width of the audio encoder.
    pub encoder_width: u32,
    /// Layers of the text decoder.
    pub decoder_layers: u32,
    /// Width of the text decoder.
    pub decoder_width: u32,
    /// Entries of the vocabulary.
    pub vocab_size: u32,
}

/// Owns the C model.
struct RawModel {
    ptr: NonNull<sys::qwen_model>,
    dir: PathBuf,
}

// SAFETY: the engine keeps no thread-local state and a model has no thread affinity, so the last clone may be dropped,
// and with it the model closed, on any thread.
unsafe impl Send for RawModel {}

// SAFETY: a qwen_model is not written to after qwen_model_open: every function that takes one, except close, takes it
// const. Close runs when the last clone is dropped, when nobody else can have a reference.
unsafe impl Sync for RawModel {}

impl Drop for RawModel {
    fn drop(&mut self) {
        // SAFETY: `ptr` came from qwen_model_open and is closed only here. Every stream holds a clone of the `Arc` around
        // this and closes before it lets go of it, so no stream is open any more.
        unsafe { sys::qwen_model_close(self.ptr.as_ptr()) }
    }
}

impl Model {
    /// Opens the directory of a model, as released or in the layout of the transformers library.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, &ModelOptions::default())
    }

    /// Opens the directory of a model with other than the usual options.
    pub fn open_with(dir: impl AsRef<Path>, options: &ModelOptions) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let path = c_path(dir)?;
        // SAFETY: takes nothing, returns a plain struct.
        let mut params = unsafe { sys::qwen_model_params_default() };
        params.cpu_disable = options.disabled_cpu_features.0;
        params.no_mmap = i32::from(options.no_mmap);
        let mut model = ptr::null_mut();
        call(|error| {
            // SAFETY: `model`, `params` and `error` are live for the call, `path` is NUL-terminated.
            unsafe { sys::qwen_model_open(&raw mut model, path.as_ptr(), &raw const params, error) }
        })
        .map_err(|failure| model_error(dir, failure))?;
        let ptr = NonNull::new(model)
            .ok_or_else(|| Error::Internal { message: "the engine opened a model and gave none".to_owned() })?;
        Ok(Self(Arc::new(RawModel { ptr, dir: dir.to_owned() })))
    }

    /// Sizes, and how this machine computes them.
    pub fn info(&self) -> ModelInfo {
        // SAFETY: the model is open, and describing it reads only.
        let info = unsafe { sys::qwen_model_describe(self.as_ptr()) };
        ModelInfo {
            // SAFETY: names of kernel tables are literals of the engine.
            kernels: unsafe { literal(info.kernels) },
            // SAFETY: valid for ever, as the header says.
            gemm: unsafe { literal(info.gemm) },
            parameters: info.n_parameters,
            mapped_bytes: info.mapped_bytes,
            encoder_layers: info.encoder_layers,
            encoder_width: info.encoder_width,
            decoder_layers: info.decoder_layers,
            decoder_width: info.decoder_width,
            vocab_size: info.vocab_size,
        }
    }

    /// The directory it was opened from.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Valid as long as any clone of this model.
    pub(super) fn as_ptr(&self) -> *const sys::qwen_model {
        self.0.ptr.as_ptr()
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("dir", &self.0.dir).finish_non_exhaustive()
    }
}

/// A path as the engine opens it: its bytes on Unix, UTF-8 elsewhere.
fn c_path(dir: &Path) -> Result<CString, Error> {
    let missing = |message: String| Error::ModelMissing { dir: dir.to_owned(), message };
    if dir.as_os_str().is_empty() {
        return Err(missing("the name of the model's directory is empty".to_owned()));
    }
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(dir.as_os_str());
    #[cfg(not(unix))]
    let bytes = dir.to_str().ok_or_else(|| missing(format!("{}: the name is not Unicode", dir.display())))?.as_bytes();
    CString::new(bytes).map_err(|_| missing(format!("{}: the name contains a NUL character", dir.display())))
}

fn model_error(dir: &Path, failure: Failure) -> Error {
    let Failure { status, message } = failure;
    // Some sentences are about a field of a file and name the file only.
    let shown = dir.display().to_string();
    let message = if message.contains(&shown) { message } else { format!("{shown}: {message}") };
    let dir = dir.to_owned();
    match status {
        sys::qwen_status::QWEN_ERR_IO => Error::ModelMissing { dir, message },
        sys::qwen_status::QWEN_ERR_FORMAT => Error::ModelDamaged { dir, message },
        sys::qwen_status::QWEN_ERR_UNSUPPORTED => Error::ModelUnsupported { dir, message },
        sys::qwen_status::QWEN_ERR_NOMEM => Error::OutOfMemory { message },
        _ => Error::Internal { message },
    }
}
