//! Builds the C engine into one archive and, with feature `bindgen`, makes the bindings from its header.
//!
//! The table of instruction sets and their flags is that of vendor/qwen-asr/Makefile. Units for one instruction set are
//! compiled on their own and join the others in the same archive; which of them runs is decided when a model is opened.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::path::{Path, PathBuf};
use std::{env, fs};

const AVX2: [&str; 3] = ["-mavx2", "-mfma", "-mf16c"];
const AVX512: [&str; 7] = ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mf16c"];

/// What the name of a unit for one instruction set ends with, the architecture that has it, and its flags.
const ISA_UNITS: [(&str, &str, &[&str]); 3] =
    [("_avx2", "x86_64", &AVX2), ("_avx512", "x86_64", &AVX512), ("_neon", "aarch64", &[])];

/// Compiled only with one of the BLAS features.
const BLAS_UNIT: &str = "qwen_asr_blas";

fn main() {
    let root = PathBuf::from(cargo("CARGO_MANIFEST_DIR"));
    let engine = root.join("vendor/qwen-asr");
    let (header, checked_in) = (engine.join("include/qwen_asr.h"), root.join("src/sys/bindings.rs"));
    for input in [&root.join("build.rs"), &engine.join("src"), &header, &checked_in] {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rerun-if-env-changed=DOCS_RS");
    // Crates that call the C interface themselves find the header through DEP_QWEN_ASR_INCLUDE.
    println!("cargo::metadata=include={}", engine.join("include").display());

    #[cfg(feature = "bindgen")]
    make_bindings(&header);
    // Bindings of another header than the one compiled would be undefined behaviour in every call.
    #[cfg(not(feature = "bindgen"))]
    if !fs::read_to_string(&checked_in).is_ok_and(|text| text.contains(&fingerprint(&header))) {
        let (header, test) = (header.display(), "cargo test --features bindgen --test bindings");
        println!("cargo::error={header} has changed: `{test}` tells how to update {}", checked_in.display());
        return;
    }
    // Documentation is made from the Rust sources alone.
    if env::var_os("DOCS_RS").is_none() {
        compile(&engine);
    }
}

fn compile(engine: &Path) {
    let arch = cargo("CARGO_CFG_TARGET_ARCH");
    let apple = cargo("CARGO_CFG_TARGET_VENDOR") == "apple";
    let blas = [("openblas", cfg!(feature = "openblas")), ("accelerate", cfg!(feature = "accelerate"))];
    let blas = blas.iter().find(|(_, wanted)| *wanted).map(|(name, _)| *name);
    let mut lib = base(engine, blas);
    for unit in units(&engine.join("src")) {
        let name = unit.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match ISA_UNITS.iter().find(|(suffix, ..)| name.ends_with(suffix)) {
            Some((_, unit_arch, flags)) if arch == *unit_arch => {
                let objects = base(engine, blas).file(&unit).flags(*flags).compile_intermediates();
                lib.objects(objects);
            }
            Some(_) => {}
            None if name == BLAS_UNIT && blas.is_none() => {}
            None => {
                lib.file(&unit);
            }
        }
    }
    lib.compile("qwen_asr");
    if !apple {
        println!("cargo::rustc-link-lib=m");
    } else if blas == Some("accelerate") {
        println!("cargo::rustc-link-lib=framework=Accelerate");
    }
}

/// The flags every unit has.
fn base(engine: &Path, blas: Option<&str>) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .includes([engine.join("include"), engine.join("src")])
        .std("c11")
        .extra_warnings(true)
        .define("_GNU_SOURCE", None)
        .flags(["-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"])
        // Flags for Rust code must not reach the C code: one baseline, and no merging of units across instruction sets.
        .inherit_rustflags(false);
    // An engine built without optimisation is too slow to be of use, even for debugging what is around it.
    if cargo("OPT_LEVEL") != "3" {
        build.opt_level(2);
    }
    if let Some(name) = blas {
        build.define("QWEN_BLAS", "1").define("QWEN_BLAS_NAME", format!("\"{name}\"").as_str());
    }
    build
}

/// All C files, in an order that does not depend on the file system.
fn units(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display()));
    let mut units: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    units.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    units.sort();
    units
}

fn cargo(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}

/// A number that changes with every declaration of the header, but not with its comments and its spacing (FNV-1a).
fn fingerprint(header: &Path) -> String {
    let text = fs::read_to_string(header).unwrap_or_else(|e| panic!("cannot read {}: {e}", header.display()));
    let code = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code));
    let bytes = code.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("// Header: {hash:016x}")
}

#[cfg(feature = "bindgen")]
fn make_bindings(header: &Path) {
    let bindings = bindgen::Builder::default()
        .header(header.display().to_string())
        .allowlist_item("(qwen|QWEN)_.*")
        // A Rust enum with a value it does not list is undefined behaviour; the engine may learn new values.
        .default_enum_style(bindgen::EnumVariation::NewType { is_bitfield: false, is_global: false })
        .prepend_enum_name(false)
        .must_use_type("qwen_status")
        .use_core()
        .rust_target(bindgen::RustTarget::stable(88, 0).unwrap_or_else(|_| panic!("bindgen knows Rust 1.88")))
        .rust_edition(bindgen::RustEdition::Edition2024)
        .merge_extern_blocks(true)
        .generate_comments(false)
        .disable_header_comment()
        .raw_line("// Made by bindgen from vendor/qwen-asr/include/qwen_asr.h. Do not edit: see src/sys.rs.")
        .raw_line(fingerprint(header))
        .formatter(bindgen::Formatter::Prettyplease)
        .generate()
        .unwrap_or_else(|e| panic!("cannot make bindings: {e}"));
    let out = PathBuf::from(cargo("OUT_DIR")).join("bindings.rs");
    bindings.write_to_file(&out).unwrap_or_else(|e| panic!("cannot write {}: {e}", out.display()));
}
