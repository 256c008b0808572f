//! WAV headers that lie about lengths, told the truth.
//!
//! A recorder that was killed leaves a header that says 0 or an earlier length; one that writes to a pipe says 4 GiB;
//! a cut download holds less than it promises. The samples are there all the same. Before the decoder sees such a file, the
//! two length fields (and the marker of the 64-bit variant) are replaced, in what it reads, by what the file
//! really holds. Files that tell the truth pass untouched.

use std::io::{self, Read, Seek, SeekFrom};

/// Chunks before the samples that are looked at; real files have a handful.
const MAX_CHUNKS: usize = 1_000;

/// What the decoder gets to see instead of the bytes in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patches {
    bytes: Vec<(u64, [u8; 4])>,
    /// The header promises more samples than there are: (bytes promised, bytes there).
    pub(super) missing: Option<(u64, u64)>,
}

impl Patches {
    /// Looks at the header, leaves the position anywhere. No patches for what is not WAV.
    pub(super) fn find(source: &mut (impl Read + Seek), file_len: u64) -> io::Result<Self> {
        let mut patches = Self::default();
        source.seek(SeekFrom::Start(0))?;
        let Some(head) = read_array::<12>(source)? else { return Ok(patches) };
        let wide = matches!(&head[..4], b"RF64" | b"BW64");
        if !(wide || &head[..4] == b"RIFF") || &head[8..] != b"WAVE" {
            return Ok(patches);
        }
        let mut pos = 12_u64;
        for _ in 0..MAX_CHUNKS {
            source.seek(SeekFrom::Start(pos))?;
            let Some(chunk) = read_array::<8>(source)? else { return Ok(patches) };
            let promised = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
            pos += 8;
            if &chunk[..4] != b"data" {
                pos += u64::from(promised) + u64::from(promised & 1);
                continue;
            }
            let there = file_len.saturating_sub(pos);
            let unknown = promised == 0 || promised == u32::MAX;
            if unknown || u64::from(promised) > there {
                patches.replace(pos - 4, there);
            }
            if !unknown && u64::from(promised) > there {
                patches.missing = Some((u64::from(promised), there));
            }
            break;
        }
        if u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) != file_len - 8 {
            patches.replace(4, file_len - 8);
        }
        if wide {
            patches.bytes.push((0, *b"RIFF"));
        }
        Ok(patches)
    }

    /// A length of 4 GiB and more has no number in this format: the value for "until the end".
    fn replace(&mut self, at: u64, length: u64) {
        self.bytes.push((at, u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()));
    }

    /// Overlays the bytes of a read that began at `pos`.
    pub(super) fn apply(&self, pos: u64, buf: &mut [u8]) {
        for (at, bytes) in &self.bytes {
            for (place, &byte) in (*at..).zip(bytes) {
                let index = place.checked_sub(pos).and_then(|i| usize::try_from(i).ok());
                if let Some(target) = index.and_then(|i| buf.get_mut(i)) {
                    *target = byte;
                }
            }
        }
    }
}

/// `None` at the end of the file.
fn read_array<const N: usize>(source: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match source.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(marker: &[u8; 4], riff: u32, data: u32, n: usize) -> Vec<u8> {
        let mut file = marker.to_vec();
        file.extend(riff.to_le_bytes());
        file.extend(b"WAVEfmt \x03\0\0\0abc\0data");
        file.extend(data.to_le_bytes());
        file.extend(vec![7; n]);
        file
    }

    fn patched(mut file: Vec<u8>) -> (Vec<u8>, Option<(u64, u64)>) {
        let len = file.len() as u64;
        let patches = Patches::find(&mut io::Cursor::new(&file), len).expect("memory reads");
        patches.apply(0, &mut file);
        (file, patches.missing)
    }

    #[test]
    fn the_truth_passes_untouched() {
        let file = wav(b"RIFF", 24 + 100, 100, 100);
        assert_eq!(patched(file.clone()), (file, None));
        assert_eq!(patched(b"ID3 something".to_vec()), (b"ID3 something".to_vec(), None));
        for n in 0..32 {
            let file = wav(b"RIFF", 124, 100, 100);
            patched(file[..n].to_vec());
        }
    }

    #[test]
    fn lengths_become_what_the_file_holds() {
        let truth = wav(b"RIFF", 24 + 100, 100, 100);
        assert_eq!(patched(wav(b"RIFF", 0, 0, 100)), (truth.clone(), None));
        assert_eq!(patched(wav(b"RIFF", u32::MAX, u32::MAX, 100)), (truth.clone(), None));
        assert_eq!(patched(wav(b"RF64", u32::MAX, u32::MAX, 100)), (truth.clone(), None));
        assert_eq!(patched(wav(b"RIFF", 5000, 4000, 100)), (truth, Some((4000, 100))));
    }

    #[test]
    fn a_patch_lands_right_however_the_file_is_read() {
        let file = wav(b"RIFF", 9, 4000, 100);
        let (whole, _) = patched(file.clone());
        let patches = Patches::find(&mut io::Cursor::new(&file), file.len() as u64).expect("memory reads");
        for size in 1..=9 {
            let mut pieces = file.clone();
            for (i, piece) in pieces.chunks_mut(size).enumerate() {
                patches.apply((i * size) as u64, piece);
            }
            assert_eq!(pieces, whole);
        }
    }
}
