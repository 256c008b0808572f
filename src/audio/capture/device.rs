//! Which inputs there are, and which one is meant.

use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{ErrorKind, SampleFormat, SupportedStreamConfig};
use crossbeam_channel::bounded;

use super::CaptureError;
use crate::audio::SourceInfo;

/// How long a sound system may take to list its inputs.
const LIST_WITHIN: Duration = Duration::from_secs(10);

/// A sound system. Only Linux has a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioHost {
    /// PulseAudio (or PipeWire, which speaks its language) when its server answers, else ALSA; on other systems their own.
    #[default]
    Auto,
    /// PulseAudio or PipeWire.
    Pulse,
    /// ALSA, which may lead to PulseAudio all the same.
    Alsa,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputDevice {
    /// Its name, for people.
    pub name: String,
    /// What the system calls it; lasts longer than a position in a list.
    pub id: String,
    /// The sound system: `pulse`, `alsa`, `coreaudio`.
    pub host: String,
    /// It is taken when none is named.
    pub default: bool,
    /// It records what a loudspeaker plays.
    pub monitor: bool,
    /// Its own rate in Hz; unknown when it cannot be opened now.
    pub rate: Option<u32>,
    /// Its own channels.
    pub channels: Option<u16>,
    /// Of its samples: `i16`, `f32`.
    pub format: Option<String>,
    /// Why it cannot be opened now.
    pub problem: Option<String>,
}

/// Lists the inputs, the default one first.
pub fn devices(host: AudioHost) -> Result<Vec<InputDevice>, CaptureError> {
    let (to, from) = bounded(1);
    // On a thread of its own: a sound server that hangs would take the caller with it.
    super::spawn("capture-list", move || {
        let _ = to.send(list(host));
    })?;
    from.recv_timeout(LIST_WITHIN).unwrap_or_else(|_| {
        Err(CaptureError::NoHost { host: "the sound system".to_owned(), detail: "it hangs".to_owned() })
    })
}

fn list(choice: AudioHost) -> Result<Vec<InputDevice>, CaptureError> {
    quiet_alsa();
    let (label, host) = open_host(choice)?;
    let default = host.default_input_device().map(|device| Candidate::new(device).id);
    let mut all = Vec::new();
    for candidate in candidates(&host, label)? {
        let mut entry = InputDevice {
            default: default.as_ref() == Some(&candidate.id),
            monitor: is_monitor(&candidate.id),
            name: candidate.name,
            id: candidate.id,
            host: label.to_owned(),
            rate: None,
            channels: None,
            format: None,
            problem: None,
        };
        match own_config(&candidate.device) {
            Ok(config) => {
                entry.rate = Some(config.sample_rate());
                entry.channels = Some(config.channels());
                entry.format = Some(config.sample_format().to_string());
            }
            // Loudspeakers.
            Err(e) if e.kind() == ErrorKind::UnsupportedOperation => continue,
            Err(e) => entry.problem = Some(CaptureError::from_cpal(&e, &entry.name).to_string()),
        }
        all.push(entry);
    }
    all.sort_by_key(|entry| (!entry.default, entry.monitor));
    Ok(all)
}

/// A device and how it will be opened.
pub(super) struct Found {
    pub(super) device: cpal::Device,
    pub(super) config: SupportedStreamConfig,
    pub(super) info: SourceInfo,
}

/// Finds the input that is meant.
pub(super) fn find(choice: AudioHost, wanted: Option<&str>) -> Result<Found, CaptureError> {
    let (label, host) = open_host(choice)?;
    match wanted {
        Some(wanted) => {
            let mut all = candidates(&host, label)?;
            let names: Vec<_> = all.iter().map(|c| (c.id.as_str(), c.name.as_str())).collect();
            let index = pick(wanted, label, &names)?;
            found(all.swap_remove(index), label)
        }
        None => find_default(&host, label),
    }
}

fn find_default(host: &cpal::Host, label: &str) -> Result<Found, CaptureError> {
    let none = || CaptureError::NoDevice { host: label.to_owned() };
    let default = Candidate::new(host.default_input_device().ok_or_else(none)?);
    // What PulseAudio offers when there is nothing at all.
    if default.id == "auto_null.monitor" {
        return Err(none());
    }
    let id = default.id.clone();
    let error = match found(default, label) {
        Err(CaptureError::Busy { device }) => return Err(CaptureError::Busy { device }),
        Err(CaptureError::Permission { device }) => return Err(CaptureError::Permission { device }),
        Err(error) if label == "alsa" => error,
        result => return result,
    };
    // ALSA always has a default. Where it leads to a server that does not run, there may still be a card.
    let cards = candidates(host, label)?.into_iter().filter(|c| c.id != id && c.id.contains("CARD="));
    let mut errors = vec![error];
    for card in cards {
        match found(card, label) {
            Ok(found) => return Ok(found),
            Err(error) => errors.push(error),
        }
    }
    // A card that is in use says more than a default that leads nowhere.
    let telling = |e: &CaptureError| matches!(e, CaptureError::Busy { .. } | CaptureError::Permission { .. });
    Err(errors.into_iter().find(telling).unwrap_or_else(none))
}

fn found(candidate: Candidate, label: &str) -> Result<Found, CaptureError> {
    let config = own_config(&candidate.device).map_err(|e| CaptureError::from_cpal(&e, &candidate.name))?;
    let info = SourceInfo {
        device: candidate.name,
        host: label.to_owned(),
        rate: config.sample_rate(),
        channels: config.channels(),
        format: config.sample_format().to_string(),
    };
    Ok(Found { device: candidate.device, config, info })
}

struct Candidate {
    device: cpal::Device,
    id: String,
    name: String,
}

impl Candidate {
    fn new(device: cpal::Device) -> Self {
        let id = device.id().map(|id| id.id().to_owned()).unwrap_or_default();
        let name = device.description().map(|d| d.name().to_owned()).unwrap_or_else(|_| id.clone());
        Self { device, id, name }
    }
}

fn candidates(host: &cpal::Host, label: &str) -> Result<Vec<Candidate>, CaptureError> {
    let all = host.input_devices().map_err(|e| CaptureError::from_cpal(&e, label))?;
    let mut all: Vec<_> = all.map(Candidate::new).filter(|c| label != "alsa" || is_alsa_input(&c.id)).collect();
    // Two names for one card: the one that shares it with other programs comes first.
    all.sort_by_key(|c| (is_monitor(&c.id), c.id.starts_with("plughw:")));
    Ok(all)
}

fn is_monitor(id: &str) -> bool {
    id.ends_with(".monitor")
}

/// ALSA lists its converters and outputs, and every card several times over. What remains: its default, sound servers,
/// each card shared (`sysdefault`) and each input of a card with conversion (`plughw`), and what users define themselves.
fn is_alsa_input(id: &str) -> bool {
    const NOT_INPUTS: [&str; 29] = [
        "null",
        "samplerate",
        "speexrate",
        "lavrate",
        "lavcrate",
        "jack",
        "oss",
        "speex",
        "upmix",
        "vdownmix",
        "usbstream",
        "a52",
        "dca",
        "arcam_av",
        "sysdefault",
        "hw",
        "front",
        "rear",
        "center_lfe",
        "side",
        "iec958",
        "spdif",
        "hdmi",
        "dmix",
        "dsnoop",
        "dshare",
        "modem",
        "phoneline",
        "surround",
    ];
    let kind = id.split(':').next().unwrap_or(id);
    if id.starts_with("sysdefault:CARD=") {
        return true;
    }
    if let Some(card) = id.strip_prefix("plughw:CARD=") {
        // The same card is there by name, and numbers change from one start to the next.
        return !card.starts_with(|c: char| c.is_ascii_digit());
    }
    !NOT_INPUTS.contains(&kind) && !kind.starts_with("surround")
}

/// The one that is meant: an id, a whole name, or a part of a name or an id that only one input has. Monitors of
/// loudspeakers count only when nothing else fits.
fn pick(wanted: &str, label: &str, all: &[(&str, &str)]) -> Result<usize, CaptureError> {
    let id = wanted.strip_prefix(label).and_then(|rest| rest.strip_prefix(':')).unwrap_or(wanted);
    if let Some(index) = all.iter().position(|(known, _)| *known == id || *known == wanted) {
        return Ok(index);
    }
    let lower = wanted.to_lowercase();
    let whole = |(_, name): &(&str, &str)| name.to_lowercase() == lower;
    let part = |(id, name): &(&str, &str)| name.to_lowercase().contains(&lower) || id.to_lowercase().contains(&lower);
    for round in 0..3 {
        let fits = |device: &(&str, &str)| match round {
            0 => whole(device),
            1 => part(device) && !is_monitor(device.0),
            _ => part(device),
        };
        let matching: Vec<_> = (0..all.len()).filter(|&i| !lower.is_empty() && fits(&all[i])).collect();
        // One card under several ids is one input: the first is as good as any.
        if let Some(&first) = matching.first() {
            if matching.iter().all(|&i| all[i].1 == all[first].1) {
                return Ok(first);
            }
            let mut names: Vec<_> = matching.iter().map(|&i| all[i].1.to_owned()).collect();
            names.dedup();
            return Err(CaptureError::Ambiguous { wanted: wanted.to_owned(), matching: names });
        }
    }
    let mut names: Vec<_> = all.iter().map(|d| d.1.to_owned()).collect();
    names.dedup();
    Err(CaptureError::NotFound { wanted: wanted.to_owned(), available: names })
}

/// The device's own rate, format and channels. Never a list entry that happens to contain 16 kHz: behind ALSA and PulseAudio
/// the first of those is 8-bit mono.
fn own_config(device: &cpal::Device) -> Result<SupportedStreamConfig, cpal::Error> {
    match device.default_input_config() {
        Ok(config) if is_known(config.sample_format()) => return Ok(config),
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::UnsupportedConfig => {}
        Err(e) => return Err(e),
    }
    // A format that no conversion here knows: what else it can do.
    let known = device.supported_input_configs()?.filter(|range| is_known(range.sample_format()));
    let best = known.max_by(|a, b| a.cmp_default_heuristics(b));
    let none = || cpal::Error::with_message(ErrorKind::UnsupportedConfig, "it offers no known sample format");
    best.map(|range| range.try_with_standard_sample_rate().unwrap_or_else(|| range.with_max_sample_rate()))
        .ok_or_else(none)
}

/// Every integer and float; not the one-bit formats.
fn is_known(format: SampleFormat) -> bool {
    format.is_int() || format.is_uint() || format.is_float()
}

#[cfg(target_os = "linux")]
fn open_host(choice: AudioHost) -> Result<(&'static str, cpal::Host), CaptureError> {
    let pulse = || cpal::host_from_id(cpal::HostId::PulseAudio);
    let failed = |host: &str, e: &cpal::Error| CaptureError::NoHost {
        host: host.to_owned(),
        detail: e.message().unwrap_or("it is not there").to_owned(),
    };
    match choice {
        AudioHost::Pulse => return pulse().map(|host| ("pulse", host)).map_err(|e| failed("PulseAudio", &e)),
        AudioHost::Auto => {
            if let Ok(host) = pulse() {
                return Ok(("pulse", host));
            }
        }
        AudioHost::Alsa => {}
    }
    cpal::host_from_id(cpal::HostId::Alsa).map(|host| ("alsa", host)).map_err(|e| failed("ALSA", &e))
}

#[cfg(not(target_os = "linux"))]
fn open_host(choice: AudioHost) -> Result<(&'static str, cpal::Host), CaptureError> {
    let missing = |host: &str| CaptureError::NoHost {
        host: host.to_owned(),
        detail: "this system has another sound system".to_owned(),
    };
    match choice {
        AudioHost::Auto => {
            let host = cpal::default_host();
            let name = if cfg!(target_os = "macos") { "coreaudio" } else { "system" };
            Ok((name, host))
        }
        AudioHost::Pulse => Err(missing("PulseAudio")),
        AudioHost::Alsa => Err(missing("ALSA")),
    }
}

/// ALSA's library writes to stderr when a device does not open, and probing opens many. From now on, for this thread, it
/// writes to a buffer that nobody reads: what it says is in the errors it returns.
#[cfg(target_os = "linux")]
pub(super) fn quiet_alsa() {
    // It fails when there is no memory for the buffer: then the library is not quiet.
    drop(alsa::Output::local_error_handler());
}

#[cfg(not(target_os = "linux"))]
pub(super) fn quiet_alsa() {}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 5] = [
        ("alsa_input.usb-Blue_Yeti-00.analog-stereo", "Blue Yeti Analog Stereo"),
        ("alsa_input.pci-0000_00.analog-stereo", "Built-in Audio Analog Stereo"),
        ("bluez_input.AC_BF", "AirPods"),
        ("alsa_output.usb-Blue_Yeti-00.monitor", "Monitor of Blue Yeti Analog Stereo"),
        ("alsa_output.hdmi.monitor", "Monitor of HDMI"),
    ];

    #[test]
    fn inputs_are_found_by_id_by_name_and_by_a_part_of_it() {
        for (wanted, index) in [
            ("bluez_input.AC_BF", 2),
            ("pulse:bluez_input.AC_BF", 2),
            ("airpods", 2),
            ("YETI", 0),
            ("built-in audio analog stereo", 1),
            ("pci-0000", 1),
            ("hdmi", 4),
            ("Monitor of Blue Yeti", 3),
        ] {
            assert_eq!(pick(wanted, "pulse", &ALL), Ok(index), "{wanted}");
        }
    }

    #[test]
    fn what_fits_nothing_or_several_inputs_is_refused_with_their_names() {
        let Err(CaptureError::Ambiguous { matching, .. }) = pick("analog", "pulse", &ALL) else {
            panic!("not ambiguous")
        };
        assert_eq!(matching, ["Blue Yeti Analog Stereo", "Built-in Audio Analog Stereo"]);
        for wanted in ["", "headset", "pulse:"] {
            let Err(CaptureError::NotFound { available, .. }) = pick(wanted, "pulse", &ALL) else { panic!("found") };
            assert_eq!(available.len(), 5);
        }
    }

    #[test]
    fn one_card_under_two_ids_is_one_input() {
        let all = [("sysdefault:CARD=PCH", "HDA Intel PCH"), ("plughw:CARD=PCH,DEV=0", "HDA Intel PCH")];
        assert_eq!(pick("intel", "alsa", &all), Ok(0));
        assert_eq!(pick("alsa:plughw:CARD=PCH,DEV=0", "alsa", &all), Ok(1));
    }

    #[test]
    fn alsa_s_converters_and_outputs_are_not_inputs() {
        for id in ["default", "pulse", "pipewire", "sysdefault:CARD=PCH", "plughw:CARD=PCH,DEV=0", "my_mixer"] {
            assert!(is_alsa_input(id), "{id}");
        }
        for id in [
            "null",
            "lavrate",
            "samplerate",
            "speexrate",
            "jack",
            "oss",
            "speex",
            "upmix",
            "vdownmix",
            "sysdefault",
            "hw:CARD=PCH,DEV=0",
            "plughw:CARD=0,DEV=0",
            "front:CARD=PCH,DEV=0",
            "surround51:CARD=PCH,DEV=0",
            "hdmi:CARD=HDMI,DEV=0",
            "dmix:CARD=PCH",
            "dsnoop:CARD=PCH",
            "usbstream:CARD=PCH",
            "iec958:CARD=PCH,DEV=0",
        ] {
            assert!(!is_alsa_input(id), "{id}");
        }
    }

    #[test]
    fn only_one_bit_formats_are_unknown() {
        for format in [SampleFormat::I8, SampleFormat::U64, SampleFormat::I24, SampleFormat::U24, SampleFormat::F64] {
            assert!(is_known(format));
        }
        assert!(!is_known(SampleFormat::DsdU8));
    }
}
